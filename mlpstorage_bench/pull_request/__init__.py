"""One comment of a report in a pull request of GitHub, or a merge request of GitLab."""

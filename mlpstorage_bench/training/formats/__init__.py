"""Files of the models' own formats, written and read by the libraries that trainings use."""

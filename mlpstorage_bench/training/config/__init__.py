"""Profiles and parameters of trainings, and the rules of the closed division."""

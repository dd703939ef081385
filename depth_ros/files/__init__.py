"""Reading and writing of files: images, calibrations, clouds, masks; installed files and the model cache."""

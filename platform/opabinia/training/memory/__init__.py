"""What training needs of a device, and what to change where that is too much."""

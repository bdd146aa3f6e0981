"""Class maps of any number of dates: what each pixel went through."""

"""The status page: a picture of the site, gathered, remembered and written as one HTML file."""

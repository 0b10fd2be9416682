"""The EC2 door: an EC2-compatible API in front of a site's OpenStack; OpenStack holds the truth."""

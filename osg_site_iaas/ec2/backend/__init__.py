"""The OpenStack behind the door: plain HTTP with the user's own token, counted and bounded."""

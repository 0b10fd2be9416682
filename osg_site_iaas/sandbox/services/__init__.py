"""The services of the sandbox, one file each; a file that appears here is a service."""

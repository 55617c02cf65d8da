"""A guest for the tests of environments that need a kernel of their own."""

from guest import booted as booted
from guest import guest_host as guest_host
from guest import guests as guests

"""A guest for the tests of experiments that need a kernel of their own."""

from guest import guest_host as guest_host
from guest import new_trial as new_trial

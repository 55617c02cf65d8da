"""What the tests of redaction share."""

import string

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

PROJECT = "/srv/papers/the project"
HOME = "/home/alice"


words = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=10)
unchecked = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
properties = settings(max_examples=200, deadline=None, suppress_health_check=unchecked)

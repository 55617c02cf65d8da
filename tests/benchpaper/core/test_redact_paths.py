"""Redaction of local folders; what else it must not do."""

import socket
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redacted_texts import HOME, PROJECT, properties, words

from benchpaper.core.redact import MAX_TEXT_BYTES, Redactor

pytestmark = pytest.mark.usefixtures("bare_environment")

PATHS = [
    (f"{PROJECT}/results/x", "$PROJECT/results/x"),
    (PROJECT, "$PROJECT"),
    (f"{PROJECT}-other/x", "$ELSEWHERE/x"),
    (f"{HOME}/.cache", "$HOME/.cache"),
    (f"{tempfile.gettempdir()}/t1", "$TMP/t1"),
    (f"{sys.prefix}/bin/python", "$VENV/bin/python"),
    ("/home/alicia/x", "$ELSEWHERE/x"),
    ("/mnt/lab/bob/secret/data", "$ELSEWHERE/data"),
    ("/usr/bin/gcc", "/usr/bin/gcc"),
    ("/dev/shm", "/dev/shm"),
    ("/usrx/y", "$ELSEWHERE/y"),
    ("relative/path", "relative/path"),
]


@pytest.mark.parametrize("path, shown", PATHS)
def test_a_path_is_shown_by_the_folder_it_lies_in(redactor, path, shown):
    assert redactor.path(path) == redactor.path(Path(path)) == shown
    assert redactor.command(["cat", path]) == ["cat", shown]
    assert redactor.command([f"--out={path}"]) == [f"--out={shown}"]


@pytest.mark.parametrize(
    "path, shown",
    [(path, shown) for path, shown in PATHS if " " not in path or path.startswith(f"{PROJECT}/")],
)
@pytest.mark.parametrize(
    "frame",
    [
        "open {} failed",
        "'{}': not found",
        "{}:3: error",
        "x={}",
        "({}), [{}]",
        "-I{} -L{}",
        "file://{}",
        "sqlite3://{}",
        "{}, twice {}",
    ],
)
def test_a_path_in_a_text_is_shown_by_the_folder_it_lies_in(redactor, frame, path, shown):
    if path.startswith("relative"):
        shown = path
    assert redactor.text(frame.replace("{}", path)) == frame.replace("{}", shown)


@properties
@given(
    st.lists(
        st.one_of(
            words,
            st.sampled_from(
                ["root", "alice", "tmp", "and/or", "TCP/IP", "./x", "../alice", "s/GB", "1/2"]
            ),
        ),
        max_size=8,
    )
)
def test_words_survive_even_those_that_name_a_user_or_a_folder(parts):
    text = " ".join(["the root of the tree, alice's", *parts])
    assert Redactor(PROJECT).text(text) == text


@properties
@given(
    st.lists(
        st.sampled_from([HOME, PROJECT.replace(" ", "-"), "/opt/bob"]), min_size=1, max_size=3
    ),
    words,
)
def test_no_text_keeps_the_home_folder(folders, word):
    text = " ".join(f"{folder}/{word}" for folder in folders)
    shown = Redactor(PROJECT.replace(" ", "-")).text(text)
    assert not any(folder in shown for folder in (HOME, "/srv/papers", "/opt/bob"))
    assert shown.split(" ")[0].endswith(f"/{word}")


@properties
@given(
    st.lists(st.sampled_from([PATHS[0], PATHS[3], PATHS[7], PATHS[8]]), min_size=2, max_size=5),
    st.sampled_from(":;,"),
    st.sampled_from(
        ["LD_LIBRARY_PATH={}", "{}", "-Djava.class.path={}", "--x={}", "-I{}", "jar:{}", "a.jar,{}"]
    ),
)
def test_a_list_of_paths_is_shown_path_by_path(paths, separator, frame):
    given_, shown = (separator.join(parts) for parts in zip(*paths))
    assert Redactor(PROJECT).command(["java", "-cp", frame.format(given_)]) == [
        "java",
        "-cp",
        frame.format(shown),
    ]
    assert (
        Redactor(PROJECT).text(f"java -cp {frame.format(given_)}")
        == f"java -cp {frame.format(shown)}"
    )


FOLDERS = [
    "/mnt/zq1",
    "/mnt/zq1/zq2",
    "/zq1/zq2 zq3",
    "/opt/zq1-zq2/zq3.d",
    "/usr/../zq1/zq2",
    f"{PROJECT}x/zq1/zq2",
]
MANY_PATHS = [
    "{0}/a", "{0}/a:{1}/b", "a.jar:{0}/b.jar;{1}/c", "{0}/a,{1}/b",
    "-Djava.class.path={0}/a:/usr/share/x.jar:{1}/b",
    "--mount=type=bind,src={0}/a,dst={1}/b", "--x={0}/a:b:{1}/c",
    "/usr/bin/java -cp {0}/a:{1}/b Main", "@{0}/a",
    "/usr/lib/x:{0}/a", "file://{0}/a", "{0}/a={1}/b", "{0}/a {1}/b", "host:{0}/a",
    "-v{0}/a:/data:ro", "[{0}/a|{1}/b]",
]  # fmt: skip


@pytest.mark.parametrize("frame", MANY_PATHS)
@pytest.mark.parametrize("separate", [False, True])
def test_nothing_of_a_folder_is_left_in_a_command_or_a_text(redactor, frame, separate):
    for folder in FOLDERS:
        for other in FOLDERS:
            framed = frame.format(folder, other)
            kinds = (
                []
                if separate
                else [f"'{framed}'", f'open("{framed}") failed']
                if framed.startswith("/")
                else []
            )
            if " " not in folder + other:
                kinds += [framed, f"cannot read {framed}, nor {framed}"]
            for text in kinds:
                assert "zq" not in redactor.text(text), text
            if " " not in folder + other or framed.split("=", 1)[-1].startswith("/"):
                assert "zq" not in " ".join(
                    redactor.command(["run", "-cp", framed] if separate else [framed])
                ), framed


def test_a_path_with_blanks_in_a_text_is_one_where_it_is_quoted_or_escaped(redactor):
    text = (
        "[Errno 2] No such file: '/mnt/my lab/x y', \"/mnt/my lab/z\", /mnt/my\\ lab/w; the "
        "users'/groups' own"
    )
    shown = (
        "[Errno 2] No such file: '$ELSEWHERE/x y', \"$ELSEWHERE/z\", $ELSEWHERE/w; the "
        "users'$ELSEWHERE/groups' own"
    )
    assert redactor.text(text) == shown


@pytest.mark.parametrize("name, value", [
    ("MAX_TOKENS", "100000"), ("TOKEN_RATE", "12345.75"), ("TOKEN_TTL", "86400s"),
    ("AUTH_KEY_SIZE", "100000kb"),
    ("TOKENIZERS_PRIVATE", "disabled"), ("TOKEN_TYPE", "Bearer"), ("USE_TOKEN", "true"),
    ("PASSWORD_MODE", "keyring"),
    ("TOKEN_FILE", "/etc/token"), ("TOKEN_PATH", "/usr/lib:/usr/share/nowhere"),
    ("TOKEN_HOME", "~/.token"),
])  # fmt: skip
def test_a_setting_whose_name_is_like_a_secrets_hides_nothing(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    redactor = Redactor(PROJECT)
    assert redactor.command([f"--size={value}", value])[1] == redactor.path(value)
    assert redactor.text(f"{value} of them") == redactor.text(f"{redactor.path(value)} of them")
    assert "$SECRET" not in redactor.text(f"{value} of them")


@pytest.mark.parametrize(
    "value", ["/9j4AAQSk/ZJRg", "a:.:b:..:cdef", ".,hunter,two", "1234-5678-abcd", "correct horse"]
)
def test_a_secret_that_looks_a_little_like_a_path_or_a_number_is_one(monkeypatch, value):
    monkeypatch.setenv("MY_TOKEN", value)
    assert Redactor(PROJECT).text(f"with {value}") == "with $SECRET"


@properties
@given(
    st.text(max_size=60),
    st.integers(0, 40),
    st.sampled_from(["{}", "http://bob:{}@host/x", "TOKEN={} "]),
)
def test_what_a_trial_tells_is_cut_and_says_so_and_keeps_no_part_of_a_secret(before, most, frame):
    secret = "Zq1-Zq2-Zq3-Zq4"
    redactor = Redactor(PROJECT, secrets=[secret] if frame == "{}" else [])
    text = before.replace("Zq", "") + frame.format(secret)
    shortened = redactor.shortened(text, most)
    assert "Zq1" not in shortened
    size = len(text.encode(errors="backslashreplace"))
    assert shortened.endswith(f" [cut at {most} of {size} bytes]") == (size > most)
    assert len(shortened.encode()) <= most + 200


def test_a_trial_may_tell_much_and_what_is_no_text(redactor):
    assert redactor.shortened("x" * MAX_TEXT_BYTES) == "x" * MAX_TEXT_BYTES
    assert redactor.shortened("x" * MAX_TEXT_BYTES + "yz").endswith(
        f"x [cut at {MAX_TEXT_BYTES} of {MAX_TEXT_BYTES + 2} bytes]"
    )
    assert redactor.shortened("no file caf\udce9") == "no file caf\\udce9"


def test_the_end_of_a_private_key_hides_what_was_printed_before_it(redactor):
    text = "xyz12345\naC1rZXk\n-----END PRIVATE KEY-----\nafter"
    assert redactor.text(text) == "$SECRET -----END PRIVATE KEY-----\nafter"


def test_the_hosts_name_is_hidden_as_an_argument(redactor):
    name = socket.gethostname()
    assert redactor.command(["ssh", name, f"--host={name}"]) == ["ssh", "$HOST", "--host=$HOST"]


@pytest.mark.parametrize("home", ["/", "relative", ""])
def test_a_home_folder_that_is_no_folder_of_its_own_hides_nothing_and_breaks_nothing(
    monkeypatch, home
):
    monkeypatch.setenv("HOME", home)
    redactor = Redactor(PROJECT)
    assert (
        redactor.path("/usr/bin/gcc") == "/usr/bin/gcc"
        and redactor.path("/opt/bob/x") == "$ELSEWHERE/x"
    )


@properties
@given(st.text(max_size=80))
def test_any_text_and_any_argument_can_be_redacted(text):
    redactor = Redactor(PROJECT)
    assert HOME + "/x" not in redactor.text(f"{text} {HOME}/x")
    assert len(redactor.command([text, text])) == 2


@pytest.mark.parametrize("host, text, shown", [
    ("node-17", "node-17: cannot reach node-17.cluster.example.org from node-170",
     "$HOST: cannot reach $HOST from node-170"),
    ("node-17.example.org", "on NODE-17, log /tmp/x/node-17.log", "on $HOST, log $TMP/x/$HOST"),
    ("vm3", "vm3's clock; vm32, xvm3, a.vm3 and vm3-b stay",
        "$HOST's clock; vm32, xvm3, a.vm3 and vm3-b stay"),
    ("debian", ("Linux debian 6.1; debian:8080 and http://debian/x, root@debian: refused; debian: "
               "no, debian:12"),
     "Linux debian 6.1; $HOST:8080 and http://$HOST/x, root@$HOST: refused; debian: no, debian:12"),
    ("test", "the test failed", "the test failed"),
    ("localhost", "http://localhost:80 and root@localhost",
        "http://localhost:80 and root@localhost"),
    ("10", "10 of 10.5 at 10:3000", "10 of 10.5 at 10:3000"),
])  # fmt: skip
def test_the_machines_name_is_hidden_in_text_where_it_is_no_word(monkeypatch, host, text, shown):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/tmp")
    assert Redactor(PROJECT).text(text) == shown

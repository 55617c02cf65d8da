"""Secrets in the forms in which commands and outputs show them, and harmless texts like them.

Every secret is invented, and joined from parts here, so that no scanner takes it for a real one. In
a form, {pw} stands for a password that a person chose, {key} for a random text, {hex} for a
hexadecimal one.
"""

from base64 import b64encode

PASSWORD = "plum" + "Tiger9" + "Walk"
RANDOM = "kX9vQp2L" + "m7RtWs4Z" + "dB8nYc3J" + "hG5u"
HEX = "4be1" * 3 + "90c7da53" + "12ef86ab" + "77d0"
VALUES = {"pw": PASSWORD, "key": RANDOM, "hex": HEX}
LOGIN = b64encode(f"bob:{PASSWORD}".encode()).decode()


def fill(form: str) -> str:
    """Return a form with its secret; other braces stay."""
    for name, value in {**VALUES, "login": LOGIN}.items():
        form = form.replace("{" + name + "}", value)
    return form


# Arguments are separated by blanks; "~" is a blank inside of one.
COMMANDS = """
curl -u bob:{pw} http://h/x
curl -ubob:{pw} http://h/x
curl --user bob:{pw} http://h/x
curl --user=bob:{pw} http://h/x
curl -U bob:{pw} http://h/x
curl --proxy-user bob:{pw} http://h/x
curl -H Authorization:~Bearer~{key} http://h/x
curl -H Authorization:~Basic~{login} http://h/x
curl -H authorization:~token~{key} http://h/x
curl -H X-Api-Key:~{key} http://h/x
curl -H X-Auth-Token:~{hex} http://h/x
curl -H PRIVATE-TOKEN:~{key} http://h/x
curl -H X-Vault-Token:{key} http://h/x
curl -H Cookie:~sid={key};~theme=dark http://h/x
curl -b sid={key} http://h/x
curl --cookie sid={key} http://h/x
curl --oauth2-bearer {key} http://h/x
curl --pass {pw} http://h/x
curl --data {"password":"{pw}"} http://h/x
curl -d user=bob&password={pw} http://h/x
curl -F token={key} http://h/x
curl http://bob:{pw}@h/x
curl https://h/x?access_token={key}&page=2
sudo env A=1 curl -u bob:{pw} http://h/x
wget --http-password={pw} http://h/x
wget --password {pw} http://h/x
http -a bob:{pw} http://h/x
ab -n 5 -A bob:{pw} http://h/x
sshpass -p {pw} ssh h
sshpass -p{pw} ssh h
mysql -u bob -p{pw} db
mysqldump --password={pw} db
mariadb -p{pw} db
psql postgresql://bob:{pw}@h/db
psql host=h~user=bob~password={pw}~dbname=d
redis-cli -a {pw} ping
mongosh -u bob -p {pw} db
ldapsearch -x -w {pw} -b dc=x
docker login -u bob -p {pw} registry
docker run -e POSTGRES_PASSWORD={pw} image
docker run --env=PGPASSWORD={pw} image
docker run -eMYSQL_PWD={pw} image
helm install --set auth.password={pw} chart
zip -P {pw} a.zip a
7z a -p{pw} a.7z a
openssl enc -aes-256-cbc -k {pw} -in a
openssl rsa -passin pass:{pw} -in a
gpg --batch --passphrase {pw} -c a
ssh-keygen -t ed25519 -N {pw} -f a
keytool -list -storepass {pw} -keystore a
java -Djavax.net.ssl.trustStorePassword={pw} Main
spark-submit --conf spark.ssl.keyPassword={pw} a.py
mount -t cifs -o username=bob,password={pw} //h/s m
mount -t ceph -o name=bob,secret={key} h:/ m
smbclient -U bob%{pw} //h/s
rclone serve s3 --auth-key ACCESS,{hex} r:
rclone config create r s3 secret_access_key {key}
aws configure set aws_secret_access_key {key}
aws --secret-key {key} s3 ls
mc alias set store http://h:9000 ACCESS1 {key}
juicefs format --secret-key {hex} redis://h v
juicefs mount redis://:{pw}@h:6379/1 m
nats pub --password {pw} s m
nats pub --nkey-secret {key} s m
kcat -X sasl.password={pw} -b h:9092
etcdctl --user root:{pw} get k
htpasswd -b file bob {pw}
mysqladmin password {pw}
tool --password {pw}
tool --pass {pw}
tool --pass={pw}
tool -password {pw}
tool --token {key}
tool -token={key}
tool --api-key {hex}
tool --apikey={key}
tool --auth-token {key}
tool --auth {key}
tool --client-secret {key}
tool --private-key {key}
tool --secret {hex}
tool --credential {key}
tool --webhook https://h/hook/{key}
tool --pat={key}
env GITHUB_PAT={key} tool
env REGISTRY_AUTH={key} tool
env DB_PASS={pw} tool
sh -c curl~-u~bob:{pw}~http://h/x
sh -c mysql~-p{pw}~db
sh -c TOKEN={key}~tool
bash -lc export~API_KEY={key};~tool
python -c connect(password='{pw}')
tool {"user":"bob","secret_key":"{hex}"}
tool {\\"token\\":\\"{key}\\"}
""".strip().splitlines()

VARIABLES = [
    "PASS", "DB_PASS", "SSHPASS", "PGPASSWORD", "MYSQL_PWD", "RCLONE_RC_PASS", "REDIS_PASSWORD",
    "KEY_PASSPHRASE", "GITHUB_PAT", "AZURE_DEVOPS_PAT", "NPM_AUTH", "REGISTRY_AUTH",
    "BASIC_AUTH_HEADER", "AUTHORIZATION", "HTTP_AUTH", "OAUTH_CODE", "AUTH_COOKIE", "GH_TOKEN",
    "TOKEN_PROD", "VAULT_TOKEN", "AccessToken", "SECRET", "MY_SECRET_V2",
    "AWS_SECRET_ACCESS_KEY", "API_KEY", "APIKEY", "STRIPE_KEY", "ENCRYPTION_KEY_BASE64",
    "SIGNING_KEY", "KEY", "DJANGO_SECRET_KEY", "CRED", "DB_CREDS", "CREDENTIALS_JSON",
    "SLACK_WEBHOOK", "SLACK_WEBHOOK_URL", "SENTRY_DSN", "DB_DSN",
    "AZURE_STORAGE_CONNECTION_STRING", "JWT", "WG_PSK",
]  # fmt: skip

NOTATIONS = [
    "{name}={key}", "export {name}={key}", "set {name} = {key}", "{name}='{key}'", '{name}="{key}"',
    "{name}: {key}", "  {name}: '{key}'", "- {name}: \"{key}\"", '{"{name}": "{key}", "n": 3}',
    '{"{name}":"{key}"}', "{'{name}': '{key}', 'n': 3}", "{'{name}': b'{key}'}",
    '"{\\"{name}\\": \\"{key}\\"}"', "{name} = {key}", '{name} = "{key}"', "{name}:={key}",
    "os.environ['{name}'] = '{key}'", "Settings({name}='{key}', n=3)", "Settings({name}={key})",
    "('{name}', '{key}')", "<{name}>{key}</{name}>", '<set name="x" {name}="{key}"/>',
    "{name} => '{key}'", "failed with {name}={key}; retry", "?a=1&{name}={key}&b=2",
    "a%3D1%26{name}%3D{key}%26b%3D2", "{name}: |\n  {key}", '"{name}":\n  "{key}"',
    "env: {name}={key}", "{name}==\"{key}\"", "+ {name}={key} run",
]  # fmt: skip

TEXTS = """
> Authorization: Bearer {key}
authorization: Basic {login}
Proxy-Authorization: Basic {login}
[HTTP/2] [1] [authorization: Bearer {key}]
{'Authorization': 'Bearer {key}'}
Authorization: AWS4-HMAC-SHA256 Credential=A/20261129/r/s3/aws4_request, Signature={hex}
Authorization: Digest username="bob", response="{hex}"
sent the header Bearer {key} to h
Cookie: session={key}; theme=dark
< Set-Cookie: sid={key}; Path=/; HttpOnly
Set-Cookie: {"sid": "{key}"}
x-api-key: {key}
X-Amz-Security-Token: {key}
GET https://b.s3/o?X-Amz-Algorithm=A&X-Amz-Signature={hex}&X-Amz-Expires=60
GET https://b.s3/o?X-Amz-Credential={key}%2F20261129&X-Amz-Date=1
GET https://b.s3/o?AWSAccessKeyId=A&Expires=1&Signature={key}%3D
GET https://storage/o?X-Goog-Signature={hex}&X-Goog-Date=1
GET https://storage/o?GoogleAccessId=a&Signature={key}
GET https://b.blob/o?sv=2024-01-01&sr=b&se=2026-11-30&sig={key}%3D
GET https://cdn/o?Policy=p&Signature={key}&Key-Pair-Id=K
GET https://h/o?access_token={key} 403
GET /o?api_key={hex}&v=2 HTTP/1.1
postgres://bob:{pw}@h/db refused
postgres://bob:{pw}/x@h/db refused
redis://:{pw}@h:6379 refused
amqp://bob:p%40{pw}@h// refused
mongodb+srv://bob:{pw}@h/db refused
dsn bob:{pw}@tcp(h:3306)/db refused
jdbc:mysql://h/db?user=bob&password={pw}
Server=h;Uid=sa;Pwd={pw};Encrypt=yes
SERVER=h;UID=sa;PWD={pw};Encrypt=yes
DefaultEndpointsProtocol=https;AccountName=a;AccountKey={key}==;EndpointSuffix=x
Endpoint=sb://h/;SharedAccessKeyName=root;SharedAccessKey={key}=
machine h login bob password {pw}
CREATE USER bob WITH PASSWORD '{pw}'
CREATE USER bob IDENTIFIED BY '{pw}'
org.apache.kafka JaasConfig username="bob" password="{pw}";
Command '['curl', '-u', 'bob:{pw}', 'http://h']' returned non-zero exit status 22
Command '['mysql', '-p{pw}']' returned non-zero exit status 1
+ curl -u bob:{pw} http://h
running: tool --password {pw} --size 8
running: tool --token={key} --size 8
Login(user='bob', password='{pw}')
ConnectError(api key: {key})
API key: {key}
Secret access key = {key}
root password: {pw}
posted to https://hooks.slack.com/services/T0/B0/{key}
posted to https://discord.com/api/webhooks/12/{key}
posted to https://h.webhook.office.com/w/{key}
posted to https://api.telegram.org/bot{key}/send
headers: { 'set-cookie': [ 'sid={key}; Path=/' ], 'x-n': 1 }
send: b'GET / HTTP/1.1\\r\\nCookie: a=1; sid={key}\\r\\nHost: h\\r\\n'
send: b'GET / HTTP/1.1\\r\\nX-Api-Key: {key}\\r\\nHost: h\\r\\n'
<td>&quot;token&quot;: &quot;{key}&quot;</td>
{&#x27;password&#x27;: &#x27;{pw}&#x27;}
Config { user: "bob", password: Some("{pw}") }
Settings(password=SecretStr('{pw}'))
Settings(tokens=3, api_tokens=['{key}'], credentials=("A", "{key}"))
| db_password | {pw} |
setenv TOKEN {key}
ENV PASSWORD {pw}
$env:TOKEN = "{key}"
//registry/:_authToken={key}
{"auths": {"h": {"auth": "{login}"}}}
h:5432:db:bob:{pw}
root:$6$salt${key}{key}:19000:
java.util.Properties {user=bob, password={pw}, ssl=true}
    :password=>"{pw}"
level=error msg="no" user=bob password={pw} n=3
Generated root password: {pw}
key = {key}{key}
the seed of the run was {key}{key}
exported {key}{key} to h
""".strip().splitlines()


def _key(kind: str, lines: int = 4) -> str:
    body = [(RANDOM[n:] + RANDOM[:n]) * 2 + "fake" for n in range(lines)]
    return "\n".join([f"-----BEGIN {kind}-----", *body, f"-----END {kind}-----"])


KEY_KINDS = [
    "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK",
]  # fmt: skip
PRIVATE_KEY = _key("PRIVATE KEY")
# How programs print a key of several lines.
KEY_FORMS = {kind.lower(): _key(kind) for kind in KEY_KINDS} | {
    "escaped": PRIVATE_KEY.replace("\n", "\\n"),
    "escaped twice": PRIVATE_KEY.replace("\n", "\\\\n"),
    "joined by blanks": PRIVATE_KEY.replace("\n", " "),
    "joined by bars": PRIVATE_KEY.replace("\n", " | "),
    "joined": PRIVATE_KEY.replace("\n", ""),
    "with CRLF": PRIVATE_KEY.replace("\n", "\r\n"),
    "indented": PRIVATE_KEY.replace("\n", "\n    "),
    "percent-encoded": PRIVATE_KEY.replace(" ", "%20").replace("\n", "%0A"),
    "in JSON": '{"private_key": "' + PRIVATE_KEY.replace("\n", "\\n") + '"}',
    "in YAML": "private_key: |\n  " + PRIVATE_KEY.replace("\n", "\n  "),
    "in a variable": "KEY='" + PRIVATE_KEY + "'",
    "without its end": PRIVATE_KEY.rpartition("\n")[0],
    "without its beginning": PRIVATE_KEY.partition("\n")[2],
}

_S, _D = RANDOM * 4, "0123456789"
_UP = "QZX7" * 8
# Prefix and rest stand apart, so that no token stands in this file.
TOKENS = {
    "github": "ghp" + "_" + _S[:36], "github oauth": "gho" + "_" + _S[:36],
    "github fine-grained": "github" + "_pat_" + _S[:22] + "_" + _S[:59],
    "gitlab": "glpat" + "-" + _S[:20], "gitlab runner": "GR13" + "48941" + _S[:20],
    "slack bot": "xoxb" + "-" + _D + "-" + _D + "-" + _S[:24],
    "slack app": "xapp" + "-1-" + _UP[:11] + "-" + _D + "-" + HEX, "aws id": "AKIA" + _UP[:16],
    "google": "AIza" + _S[:35], "google oauth": "ya29" + "." + _S[:60],
    "google client": "GOCSPX" + "-" + _S[:28],
    "stripe": "sk" + "_live_" + _S[:24], "stripe webhook": "whsec" + "_" + _S[:32],
    "openai": "sk" + "-" + _S[:20] + "T3Blbk" + "FJ" + _S[:20],
    "openai project": "sk" + "-proj-" + _S[:60], "anthropic": "sk" + "-ant-api03-" + _S[:60],
    "hugging face": "hf" + "_" + "QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi",
    "npm": "npm" + "_" + _S[:36], "pypi": "pypi" + "-AgEIcHlwaS5vcmc" + _S[:80],
    "jwt": "eyJhbGciOi" + "JIUzI1NiJ9." + "eyJzdWIiOi" + "JmYWtlIn0." + _S[:43],
    "sendgrid": "SG" + "." + _S[:22] + "." + _S[:43], "square": "sq0" + "csp-" + _S[:43],
    "mailchimp": HEX[:32] + "-us" + "7", "twilio": "SK" + HEX[:32],
    "telegram": "123456789" + ":" + _S[:35], "digitalocean": "dop" + "_v1_" + HEX + HEX,
    "databricks": "dapi" + HEX[:32], "vault": "hvs" + "." + _S[:24],
    "shopify": "shpat" + "_" + HEX[:32], "docker": "dckr" + "_pat_" + _S[:27],
    "grafana": "glsa" + "_" + _S[:32] + "_" + HEX[:8], "tailscale": "tskey" + "-auth-" + _S[:30],
    "nats": "SU" + "ABCD2345" * 7, "age": "AGE-SECRET" + "-KEY-1" + _UP + _UP[:26],
    "ceph": "AQ" + _S[:36] + "==", "azure": _S[:3] + "8Q~" + _S[:34],
}  # fmt: skip

"""Arguments and lines of output that hold no secret, although they look a little like it."""

import hashlib
from base64 import b64encode

SHA256 = hashlib.sha256(b"data").hexdigest()
DIGEST = b64encode(hashlib.sha256(b"data").digest()).decode()
UUID = "3f2b8c1e-9d4a-4e6f-8b7a-5c0d1e2f3a4b"
FINGERPRINT = "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDKWoQ" + "hXyB4t2Zl1vA"

ARGUMENTS = f"""
--author=Jane --author Jane --authority=example.org --token-bucket-size=3 --token-bucket-size 3
--keys=100 --keys 100 --key=user6284781860667377211 --key photos/2020/img1.jpg --key-size=64
--key-distribution=zipfian --key-distribution zipfian --key {SHA256} --keyring keyring --keyspace
ks --max-tokens=100000 --max-tokens 100000 --tokens-per-second=5 --num-tokens=4096 --tokenizer=bpe
--passes=2 --passes 2 --pass=2 --pass 3 --passthrough=on --bypass=on --compass north
--password-file=/etc/passwd --auth-mode=basic --auth-type md5 --auth=none --no-auth
--authentication=scram-sha-256 --use-token=true --secret-name=my-secret --token-ttl=86400s
--public-key=abcdefgh --pubkey ssh-ed25519 --signature=none --sig SIGTERM --session 12
--cookie-jar jar.txt --private --size=8 --pat='*.c' --path=a/b --pattern=x.y --patience 3
--primary-key=id --sort-key=created_at --row-key r1 --hash-key-length=20 --key-id=ABCDEF0123456789
-u root -p 8080:80 -p 4 -P 9 -a -w 3 -k 5 -K -b 10 -c 3 -X POST -N 4 -A 2 -U -E MONKEY=banana
KEYS=abcdefg keyboard=german PWD=relative PATH=/usr/bin:/bin AUTHOR=Jane
SSH_AUTH_SOCK=/etc/ssh-agent KEY_SIZE=2048 TOKEN_TYPE=Bearer MAX_TOKENS=4096 BYPASS=1 PATIENCE=3
XAUTHORITY=/etc/x PASSED=3 passed=3 failed=0 COMPASS=north secrets=3 tokens=12 OLDPWD=relative
{SHA256} {UUID} sha256:{SHA256} {SHA256[:40]} {SHA256[:7]} 0x{SHA256[:16]} {SHA256[:32].upper()}
id={UUID} digest={SHA256} etag={SHA256[:32]} checksum={DIGEST} sha256={DIGEST}
cluster.id=MkU3OEVBNTcwNTJENDM2Qk 127.0.0.1:8080 10.0.0.1:3000-3010 [::1]:80 host:22 1e-9 3.25
1_000_000 2026-11-29T07:32:06Z 07:32:06 http://127.0.0.1:8080/a?b=c https://h/x?page=2&size=10
redis://127.0.0.1:6379/1 s3://bucket/key git@h:group/project.git nginx:1.27@sha256:{SHA256} user@h
mailto:jane@h registry:5000/image:tag
org.apache.kafka.clients.consumer.internals.AbstractCoordinator2
_ZN5boost6system14error_categoryD2Ev AbstractAutowireCapableBeanFactory1 libstdc++.so.6.0.33
x86_64-linux-gnu Python-3.11.7-cp311 a.b.c experiments.multiprotocol.anomalies
experiments/rdma/Fabric4K/Block000x8/Trial00017 build/tmpwofifmyw trial-usjgqpqv-server
benchpaper-training-XXXXXX read-write-mix-70-30 UCX_NET_DEVICES=lo --block-size=4k,8k,16k
--percentiles=50:90:99 --latency-target=99.9 -XX:+ExitOnOutOfMemoryError
""".split()

COMMANDS = """
docker run -u 1000:1000 -p 8080:80 image
docker run --user root:root image
chown -R root:root folder
mkdir -p a/b
ssh -p 2222 h
mysql -P 3306 -u bob db
grep token_id file.txt
pytest -k test_password_hash tests/x.py
fio --name=job --bs=4k --keys=3
memtier --key-pattern=P:P --key-maximum=1000 --key-prefix=memtier-
tool --private --size 8
git log --author Jane --format=%H
curl -s -o out.txt http://h/x
curl -u bob http://h/x
redis-benchmark -c 50 -n 100000 -d 3
openssl speed -evp aes-128-gcm
7z a -mx=9 a.7z a
zip -r a.zip a
python -m experiments.workloads.training_loop --key=user123 --passes 2
rclone serve s3 --addr :8080 r:
kubectl get secrets --namespace default
git config user.name Jane
ab -n 100 -c 4 -A2 http://h/
tar -cf a.tar -b 20 a
""".strip().splitlines()

LINES = f"""
Author: Jane Doe
commit {SHA256[:40]}
{SHA256}  data.bin
5 tokens per second, private memory
error: invalid token: unexpected
syntax error near unexpected token: done
use --token to log in, or --password FILE
--password is required
usage: tool [--token TOKEN] [--password PASSWORD]
password: not set
Permission denied (publickey,password).
PASS: test_cut
passed=3 failed=0 skipped=1
3 passed, 2 failed in 0.12s
Private_Dirty:        12 kB
key: user6284781860667377211 value: 17
keys: 100, values: 100
read key=user123 in 3 us
"keys": 6, "seed": 1917171382
{{"keys": [1, 2, 3], "token_count": 5, "author": "Jane"}}
tokens: [1, 2, 3]
cache key {SHA256} hit
ETag: "{SHA256[:32]}"
Content-MD5: {DIGEST[:24]}
x-amz-checksum-sha256: {DIGEST}
integrity sha256-{DIGEST}
ED25519 key fingerprint is {FINGERPRINT}.
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx7kX9vQp2Lm7RtWs4ZdB8nYc3JhG5ukX9vQp2L jane
data: {b64encode(b"hello, this is a small payload of text").decode()}
payload {b64encode(bytes(range(40))).decode()}
body {b64encode(b"x" * 60).decode()}
id {UUID} took 3.25 s
session id: 0x1000a2b3c4d0000 negotiated timeout = 4000
session=12 key=3 token=5
the secret: never trust, always verify
authentication: none
auth: ok
Authorization: none
WWW-Authenticate: Basic realm="x"
Basic authentication failed for user bob
bearer token is missing
Bearer authentication
signature: valid
gpg: Signature made Mon Nov 29
cookies: disabled
code: ENOENT, exit code: 3
Traceback (most recent call last):
  File "experiments/x.py", line 3, in token
KeyError: 'token'
KeyError: 'password'
ValueError: expected key=value
TypeError: f() got an unexpected keyword argument 'password'
AttributeError: 'Session' object has no attribute 'auth_token'
2026-11-29 07:32:06,123 INFO [main] kafka.KafkaServer clusterId = MkU3OEVBNTcwNTJENDM2Qk
java.lang.IllegalStateException: SASL authentication failed
nats-server: Listening for client connections on 127.0.0.1:4222
rate 1,234.5 ops/s; p99: 12.5 us; token bucket 3
max_tokens=100000 num_keys=5 key_size=16 pass=2
copied 3 keys to a:b@c
cat /proc/12/task/*/schedstat
    secret_access_key=self.secret_key,
    token = get_token(session)
read --private-key $HOME/.ssh/id and TOKEN_FILE=$ELSEWHERE/token
cat api_keys.txt | grep key | wc
""".strip("\n").splitlines()

"""Files by HTTP in object storage: beside a server that speaks S3 and checks signatures (moto)."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time

import boto3
from botocore.config import Config
from own import own_server
from registry import ours
from scenarios.files import PICTURE, fetch, send, uploader
from servers import DOMAIN, free_ports
from world import World

BUCKET = "files"
MIB = 1 << 20
# Three parts, and none of them like another.
FILM = b"".join(number.to_bytes(4, "big") for number in range(3 * MIB))
ALLOW = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
})
# What sets the storage up is not asked who it is: a user with a policy and a key, and the bucket.
UNASKED = 4
READY_SECONDS = 30


class Storage:
    """A running S3 with one bucket, and the keys of its only user."""

    def __init__(self):
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        self.process = None

    def start(self):
        port = self.url.rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port],
            env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(UNASKED)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        limit = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._set_up()
                return self
            except Exception:  # it does not listen yet
                if time.monotonic() > limit or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def client(self, service, access="nobody", secret="nothing"):
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=access,
            aws_secret_access_key=secret, config=Config(retries={"max_attempts": 1}),
        )

    def _set_up(self):
        iam = self.client("iam")
        iam.create_user(UserName="waxwing")
        iam.put_user_policy(UserName="waxwing", PolicyName="all", PolicyDocument=ALLOW)
        key = iam.create_access_key(UserName="waxwing")["AccessKey"]
        self.access, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        self.client("s3").create_bucket(Bucket=BUCKET)
        self.bucket = self.client("s3", self.access, self.secret)

    def names(self):
        """What is in the bucket."""
        found = self.bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [entry["Key"] for entry in found]

    def unfinished(self):
        return self.bucket.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])

    def settings(self, keys=None):
        keys = keys or f'access_key = "{self.access}"\nsecret_key = "{self.secret}"'
        return f"""
[modules.upload.s3]
endpoint = "{self.url}"
bucket = "{BUCKET}"
prefix = "of/waxwing"
{keys}
"""

    def stop(self):
        self.process.kill()
        self.process.wait()


@contextlib.asynccontextmanager
async def storage():
    running = Storage()
    try:
        yield await asyncio.to_thread(running.start)
    finally:
        running.stop()


@contextlib.asynccontextmanager
async def elsewhere(world, top):
    """A server of its own, and a world around it."""
    async with own_server(top) as server:
        other = World(server, 0, world.artefacts)
        try:
            yield other
        finally:
            await other.clean_up()


async def tell(server, *words):
    """What a command of the command line says."""
    done = await asyncio.to_thread(
        subprocess.run, [server.binary, *words, *server._base()],
        capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
    )
    return done.stdout + done.stderr


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(status.read().split("VmRSS:")[1].split()[0]) * 1024


@ours("slixmpp: files in object storage: whole, in parts, after a kill, gone with an account")
async def kept(world):
    async with storage() as s3, elsewhere(world, s3.settings()) as other:
        server = other.server
        _, files = await uploader(other)
        urls = {await send(files, data): data for data in (b"x", PICTURE, FILM)}
        assert len(s3.names()) == 3, s3.names()
        assert all(name.startswith("of/waxwing/") for name in s3.names()), s3.names()
        await server.kill()
        await server.start()
        for url, data in urls.items():
            status, headers, body = await fetch(url)
            assert (status, body == data) == (200, True), (status, len(body))
            assert headers["Content-Length"] == str(len(data)), headers
            status, headers, body = await fetch(url, "HEAD")
            assert (status, headers["Content-Length"]) == (200, str(len(data))), headers
        # Across the border between two pieces.
        status, headers, body = await fetch(url, headers={"Range": f"bytes={MIB - 5}-{3 * MIB}"})
        assert (status, body == FILM[MIB - 5 : 3 * MIB + 1]) == (206, True), (status, len(body))
        await asyncio.to_thread(server.remove_account, "romeo0")
        assert (await fetch(url))[0] == 404
        assert s3.names() == [], s3.names()


@ours("slixmpp: a large file on its way to object storage and back costs little memory")
async def frugal(world):
    large = FILM * 5  # 60 MiB
    async with storage() as s3, elsewhere(world, s3.settings()) as other:
        _, files = await uploader(other)
        await send(files, PICTURE)
        before = resident_bytes(other.server)
        url = await send(files, large)
        assert (await fetch(url))[2] == large
        grown = resident_bytes(other.server) - before
        assert grown < 32 * MIB, f"{grown} bytes more"


@ours("slixmpp: the keys to object storage from a file, and from the environment")
async def keys(world):
    async with storage() as s3:
        file = world.server.folder / "s3.keys"
        file.write_text(f"{s3.access}\n{s3.secret}\n")
        async with elsewhere(world, s3.settings(f'credentials = "{file}"')) as other:
            _, files = await uploader(other)
            assert (await fetch(await send(files, PICTURE)))[2] == PICTURE
        ours = {"AWS_ACCESS_KEY_ID": s3.access, "AWS_SECRET_ACCESS_KEY": s3.secret}
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            async with elsewhere(world, s3.settings("# in the environment")) as other:
                _, files = await uploader(other)
                assert (await fetch(await send(files, PICTURE)))[2] == PICTURE
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


@ours("slixmpp: an upload to object storage that breaks off leaves nothing")
async def broken(world):
    async with storage() as s3, elsewhere(world, s3.settings()) as other:
        _, files = await uploader(other)
        answer = await files.request_slot(f"upload.{DOMAIN}", "film", len(FILM), "video/mp4")
        put = answer["http_upload_slot"]["put"]["url"]

        async def half():
            yield FILM[: 8 * MIB]
            raise ConnectionError

        kind = {"Content-Type": "video/mp4"}
        try:
            await fetch(put, "PUT", data=half(), headers=kind | {"Content-Length": str(len(FILM))})
        except Exception:
            pass  # that is what was meant
        limit = time.monotonic() + 10
        while s3.unfinished():
            assert time.monotonic() < limit, "parts are left"
            await asyncio.sleep(0.1)
        assert s3.names() == [], s3.names()
        # The slot is free again once the server has noticed that nothing more comes.
        while (status := (await fetch(put, "PUT", data=FILM, headers=kind))[0]) == 409:
            assert time.monotonic() < limit, "the slot stays taken"
            await asyncio.sleep(0.1)
        assert status == 201, status
        assert len(s3.names()) == 1 and not s3.unfinished(), s3.names()


@ours("slixmpp: object storage that refuses or is gone: who uploads and the log are told")
async def gone(world):
    async with storage() as s3:
        wrong = f'access_key = "{s3.access}"\nsecret_key = "wrong"'
        async with elsewhere(world, s3.settings(wrong)) as other:
            _, files = await uploader(other)
            answer = await files.request_slot(f"upload.{DOMAIN}", "a", 1, "text/plain")
            put = answer["http_upload_slot"]["put"]["url"]
            kind = {"Content-Type": "text/plain"}
            status, _, body = await fetch(put, "PUT", data=b"x", headers=kind)
            assert status == 500 and b"try again later" in body, (status, body)
            log = other.server.log_path.read_text()
            assert "object storage cannot be used" in log, log[-2000:]
            assert "an upload could not be written" in log and "wrong" not in log, log[-2000:]
        async with elsewhere(world, s3.settings()) as other:
            _, files = await uploader(other)
            url = await send(files, PICTURE)
            s3.stop()
            status, _, body = await fetch(url)
            assert status == 503 and b"try again later" in body, (status, body)


@ours("admins list the files, remove one, and find what nobody knows of")
async def stock(world):
    async with storage() as s3, elsewhere(world, s3.settings()) as other:
        _, files = await uploader(other)
        url = await send(files, PICTURE, name="balcony.jpg")
        listed = await tell(other.server, "upload", "list")
        assert "balcony.jpg" in listed and f"romeo0@{DOMAIN}" in listed, listed
        token = s3.names()[0].rsplit("/", 1)[1]
        assert token in listed and token in url, listed
        said = await tell(other.server, "upload", "clean")
        assert "Nothing is stored" in said, said
        said = await tell(other.server, "upload", "remove", token)
        assert "gone" in said, said
        assert (await fetch(url))[0] == 404 and s3.names() == []
        assert "there is no file" in await tell(other.server, "upload", "remove", token)
        # An account takes its files along, also while no server runs.
        await send(files, PICTURE)
        assert len(s3.names()) == 1
        await other.server.stop()
        await asyncio.to_thread(other.server.remove_account, "romeo0")
        assert s3.names() == []


@ours("files that the database does not know are found in the folder, and removed when told so")
async def orphans(world):
    async with elsewhere(world, "") as other:
        _, files = await uploader(other)
        url = await send(files, PICTURE)
        folder = other.server.data / "upload"
        known = next(path for path in folder.rglob("*") if path.is_file())
        old, half, young = (folder / ("ab" + digit * 30) for digit in "012")
        half = half.with_suffix(".part")
        for path in (old, half, young):
            path = folder / "ab" / path.name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
        left = {known.name, young.name}
        for path in folder.rglob("*"):
            if path.is_file() and path.name != young.name:
                os.utime(path, (time.time() - 100_000,) * 2)
        said = await tell(other.server, "upload", "clean")
        assert "2 files that nobody can have" in said, said
        said = await tell(other.server, "upload", "clean", "--remove")
        assert "2 files of 2 removed" in said, said
        assert {path.name for path in folder.rglob("*") if path.is_file()} == left
        assert (await fetch(url))[2] == PICTURE

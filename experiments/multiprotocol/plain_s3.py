"""Requests to an S3 server that the fast client cannot make: any key, any condition, any order."""

import http.client
from datetime import timedelta
from urllib.parse import urlsplit

from experiments.systems import s3

TIMEOUT_S = 10.0
DECLINED = (400, 403, 404, 405, 409, 412, 501)  # statuses by which a server declines a request


class PlainS3:
    """Bucket through boto3, which sends each key and condition as it is given."""

    def __init__(self, endpoint):
        self._endpoint, self._client = s3.Endpoint.from_dict(endpoint), None

    def _ask(self, operation, *, declined=DECLINED, **arguments):
        """Return the server's answer, or None if its status is one of those; else raise."""
        from botocore.exceptions import ClientError

        if self._client is None:
            self._client = self._endpoint.boto()
        try:
            return getattr(self._client, operation)(Bucket=self._endpoint.bucket, **arguments)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in declined:
                return None
            raise

    def put_key(self, key, data):
        """Create or replace an object of any key; return whether the server took it.

        Servers refuse a name that they cannot keep with an internal error, too.
        """
        declined = (*DECLINED, 500)
        return self._ask("put_object", declined=declined, Key=key, Body=data) is not None

    def get_key(self, key):
        """Return the content of an object of any key, or None."""
        answer = self._ask("get_object", Key=key)
        return answer and answer["Body"].read()

    def has_key(self, key):
        """Return whether HEAD answers for a key."""
        return self._ask("head_object", Key=key) is not None

    def keys(self, prefix):
        """Return the keys of a flat listing, in the order in which the server gives them."""
        answer = self._ask("list_objects_v2", Prefix=prefix)
        return [entry["Key"] for entry in (answer or {}).get("Contents", [])]

    def get_if(self, key, tag):
        """Return the content if the object has this ETag (If-Match), or None."""
        answer = self._ask("get_object", Key=key, IfMatch=tag)
        return answer and answer["Body"].read()

    def delete_if(self, key, tag):
        """Delete the object if it has this ETag (If-Match); return whether the server did."""
        return self._ask("delete_object", Key=key, IfMatch=tag) is not None

    def copy(self, key, new):
        """Copy an object on the server; return whether the server did."""
        source = {"Bucket": self._endpoint.bucket, "Key": key}
        return self._ask("copy_object", Key=new, CopySource=source) is not None

    def put_described(self, key, data, content_type, metadata):
        """Create or replace an object with a content type and metadata of the user's."""
        answer = self._ask(
            "put_object", Key=key, Body=data, ContentType=content_type, Metadata=metadata
        )
        return answer is not None

    def description(self, key):
        """Return (content type, metadata of the user's), or None."""
        answer = self._ask("head_object", Key=key)
        return answer and (answer.get("ContentType"), answer["Metadata"])

    def upload_if_absent(self, key, data):
        """Complete a multipart upload with If-None-Match: *; return whether the server did."""
        upload = self._ask("create_multipart_upload", Key=key)["UploadId"]
        part = self._ask("upload_part", Key=key, UploadId=upload, PartNumber=1, Body=data)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        done = self._ask(
            "complete_multipart_upload",
            Key=key,
            UploadId=upload,
            IfNoneMatch="*",
            MultipartUpload=parts,
        )
        if done is None:
            self._ask("abort_multipart_upload", Key=key, UploadId=upload)
        return done is not None

    def put_in_halves(self, key, data):
        """Create or replace an object by a PUT whose content arrives in two halves.

        At the first yield half of it is sent; at the second, the server has answered. Who stops in
        between breaks the connection.
        """
        import obstore

        signed = obstore.sign(self._endpoint.obstore(), "PUT", key, timedelta(minutes=5))
        url, half = urlsplit(signed), len(data) // 2
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=TIMEOUT_S)
        try:
            connection.putrequest("PUT", f"{url.path}?{url.query}")
            connection.putheader("Content-Length", str(len(data)))
            connection.endheaders()
            connection.send(data[:half])
            yield
            connection.send(data[half:])
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                raise OSError(f"PUT was answered with {answer.status} {answer.reason}")
            yield
        finally:
            connection.close()

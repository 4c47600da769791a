//! The provider: an S3 store on this machine's disk, by HTTP on loopback. It is what any provider is to the gateway:
//! somebody who keeps what is sent and answers what is asked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use async_trait::async_trait;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput,
    CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput,
    DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, ETag, ETagCondition, EncodingType, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
    Object, PutObjectInput, PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::adapter::s3::address::encode_path;

/// Runs until it is dropped.
pub struct Store {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Store {
    /// `root` must exist; a bucket is a folder in it, an object a file, and the metadata lies beside the buckets.
    ///
    /// # Errors
    /// The folder or the address can't be used.
    pub async fn start(root: &Path, access_key: &str, secret_key: &str) -> io::Result<Self> {
        let disk = FileSystem::new(root).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(Disk(disk));
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let service = builder.build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self {
            address: listener.local_addr()?,
            accepting: tokio::spawn(accept(listener, service)),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // out of file descriptors, say: others must end first
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(async move {
            // a connection that breaks off is its client's business
            let _ = served.await;
        });
    }
}

/// Objects as files. Three things that S3 does and the file system's own answers lack are added, since the gateway and
/// clients rely on them: `If-Match` of a GET, ETags in listings, and keys in listings encoded where that is asked for.
struct Disk(FileSystem);

impl Disk {
    /// The tag of an object that is there.
    async fn tag<T>(&self, bucket: &str, key: &str, asked: &S3Request<T>) -> S3Result<Option<ETag>>
    where
        T: Clone,
    {
        let head = asked.clone().map_input(|_| HeadObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..HeadObjectInput::default()
        });
        Ok(self.0.head_object(head).await?.output.e_tag)
    }

    async fn complete<T>(
        &self,
        bucket: &str,
        contents: Option<&mut Vec<Object>>,
        asked: &S3Request<T>,
        encoded: bool,
    ) -> S3Result<()>
    where
        T: Clone,
    {
        for object in contents.into_iter().flatten() {
            let key = object.key.clone().unwrap_or_default();
            object.e_tag = self.tag(bucket, &key, asked).await?;
            encode(&mut object.key, encoded);
        }
        Ok(())
    }
}

fn encode(text: &mut Option<String>, encoded: bool) {
    if let Some(plain) = text.as_mut().filter(|_| encoded) {
        let mut out = String::with_capacity(plain.len());
        encode_path(plain, &mut out);
        *plain = out;
    }
}

/// Whether `asked` says `url`; there is no other encoding.
fn is_encoded(asked: Option<&EncodingType>) -> bool {
    asked.is_some_and(|asked| asked.as_str() == EncodingType::URL)
}

/// The trait's implementation: what is listed goes on as it is.
macro_rules! disk {
    ($($name:ident: $input:ident -> $output:ident;)*) => {
        #[async_trait]
        impl S3 for Disk {
            $(async fn $name(&self, asked: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.0.$name(asked).await
            })*

            async fn get_object(
                &self,
                asked: S3Request<GetObjectInput>,
            ) -> S3Result<S3Response<GetObjectOutput>> {
                if let Some(ETagCondition::ETag(expected)) = &asked.input.if_match {
                    let present = self.tag(&asked.input.bucket, &asked.input.key, &asked).await?;
                    if !present.is_some_and(|tag| tag.strong_cmp(expected)) {
                        return Err(s3_error!(PreconditionFailed));
                    }
                }
                self.0.get_object(asked).await
            }

            async fn list_objects(
                &self,
                asked: S3Request<ListObjectsInput>,
            ) -> S3Result<S3Response<ListObjectsOutput>> {
                let encoded = is_encoded(asked.input.encoding_type.as_ref());
                let mut answer = self.0.list_objects(asked.clone()).await?;
                let output = &mut answer.output;
                self.complete(&asked.input.bucket, output.contents.as_mut(), &asked, encoded).await?;
                for text in [&mut output.prefix, &mut output.delimiter, &mut output.next_marker] {
                    encode(text, encoded);
                }
                for common in output.common_prefixes.iter_mut().flatten() {
                    encode(&mut common.prefix, encoded);
                }
                Ok(answer)
            }

            async fn list_objects_v2(
                &self,
                asked: S3Request<ListObjectsV2Input>,
            ) -> S3Result<S3Response<ListObjectsV2Output>> {
                let encoded = is_encoded(asked.input.encoding_type.as_ref());
                let mut answer = self.0.list_objects_v2(asked.clone()).await?;
                let output = &mut answer.output;
                self.complete(&asked.input.bucket, output.contents.as_mut(), &asked, encoded).await?;
                for text in [&mut output.prefix, &mut output.delimiter, &mut output.start_after] {
                    encode(text, encoded);
                }
                for common in output.common_prefixes.iter_mut().flatten() {
                    encode(&mut common.prefix, encoded);
                }
                Ok(answer)
            }
        }
    };
}

disk! {
    create_bucket: CreateBucketInput -> CreateBucketOutput;
    delete_bucket: DeleteBucketInput -> DeleteBucketOutput;
    head_bucket: HeadBucketInput -> HeadBucketOutput;
    list_buckets: ListBucketsInput -> ListBucketsOutput;
    get_bucket_location: GetBucketLocationInput -> GetBucketLocationOutput;
    put_object: PutObjectInput -> PutObjectOutput;
    head_object: HeadObjectInput -> HeadObjectOutput;
    copy_object: CopyObjectInput -> CopyObjectOutput;
    delete_object: DeleteObjectInput -> DeleteObjectOutput;
    delete_objects: DeleteObjectsInput -> DeleteObjectsOutput;
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput;
    upload_part: UploadPartInput -> UploadPartOutput;
    upload_part_copy: UploadPartCopyInput -> UploadPartCopyOutput;
    list_parts: ListPartsInput -> ListPartsOutput;
    complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput;
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput;
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::adapter::s3::sigv4::Signer;
    use crate::app::demo::client::{Client, Described};
    use crate::secret::SecretBytes;

    const DESCRIBED: Described<'_> = Described {
        content_type: "text/plain",
        metadata: ("sceau-0", "AbC="),
    };

    fn client(store: &Store, secret: &str) -> Client {
        let secret = SecretBytes::new(secret.as_bytes().to_vec());
        Client::plain(store.address(), Signer::new("KEY", secret, "us-east-1"))
    }

    #[tokio::test]
    async fn the_store_does_what_the_gateway_asks_of_a_provider() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::start(root.path(), "KEY", "secret").await.unwrap();
        let client = client(&store, "secret");
        client.create_bucket("bucket").await.unwrap();
        let key = "Été/a b+c.txt";
        let text = Bytes::from_static(b"0123456789");
        client
            .put("bucket", key, DESCRIBED, text.clone())
            .await
            .unwrap();
        let whole = client.get("bucket", key).await.unwrap();
        assert_eq!(whole.body, text);
        assert_eq!(whole.headers["x-amz-meta-sceau-0"], "AbC=");
        assert_eq!(whole.headers["content-type"], "text/plain");
        let part = client.get_range("bucket", key, 3, 5).await.unwrap();
        assert_eq!(part.status, Some(StatusCode::PARTIAL_CONTENT));
        assert_eq!(part.headers["content-range"], "bytes 3-5/10");
        assert_eq!(part.body, text.slice(3..6));
        let beyond = client.get_range("bucket", key, 10, 12).await.unwrap();
        assert_eq!(beyond.code().as_deref(), Some("InvalidRange"));
        assert_eq!(client.list("bucket").await.unwrap(), [(key.to_owned(), 10)]);
        assert_eq!(
            std::fs::read(root.path().join("bucket").join(key)).unwrap(),
            text
        );

        let long: Bytes = (0..(6u32 << 20)).map(|i| (i % 253) as u8).collect();
        client
            .put_parts("bucket", "long", DESCRIBED, &long, 5 << 20)
            .await
            .unwrap();
        let whole = client.get("bucket", "long").await.unwrap();
        assert!(whole.body == long);
        assert_eq!(whole.headers["x-amz-meta-sceau-0"], "AbC=");
    }

    #[tokio::test]
    async fn a_get_heeds_if_match() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::start(root.path(), "KEY", "secret").await.unwrap();
        let client = client(&store, "secret");
        client.create_bucket("bucket").await.unwrap();
        client
            .put("bucket", "k", DESCRIBED, Bytes::from_static(b"a"))
            .await
            .unwrap();
        let present = client.get("bucket", "k").await.unwrap().headers["etag"].clone();
        let with = client
            .get_if_match("bucket", "k", present.to_str().unwrap())
            .await
            .unwrap();
        assert_eq!(with.status, Some(StatusCode::OK));
        let other = "\"00000000000000000000000000000000\"";
        let without = client.get_if_match("bucket", "k", other).await.unwrap();
        assert_eq!(without.status, Some(StatusCode::PRECONDITION_FAILED));
    }

    #[tokio::test]
    async fn a_wrong_signature_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::start(root.path(), "KEY", "secret").await.unwrap();
        let refused = client(&store, "other").get("bucket", "k").await.unwrap();
        assert_eq!(refused.code().as_deref(), Some("SignatureDoesNotMatch"));
    }
}

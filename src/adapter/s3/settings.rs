//! What an operator decides for an S3 service, parsed.

use crate::seal::Context;
use crate::secret::SecretBytes;

/// How buckets are named in URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `host/bucket/key`
    Path,
    /// `bucket.host/key`
    Virtual,
}

/// What the provider gets beside TLS to notice damage on its way (decision 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    None,
    /// A CRC32C over the ciphertext in a trailer (`aws-chunked`); costs neither disk nor delay.
    TrailerCrc32c,
    /// A `Content-MD5` over the ciphertext, which is spooled first; object lock asks for it.
    SpoolMd5,
}

/// Whether the provider honours `If-Match` and `If-None-Match` on writes (decision 19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// Not said: probed at first use.
    Probe,
    Yes,
    /// Refused with 501: a lock would be lost silently.
    No,
}

/// A key pair for SigV4.
#[derive(Debug, Default)]
pub struct KeyPair {
    pub access_key: String,
    pub secret_key: SecretBytes,
}

/// A credential that clients sign with.
#[derive(Debug)]
pub struct Credential {
    pub client: KeyPair,
    /// The provider's credential behind it; the service's own when absent.
    pub upstream: Option<KeyPair>,
}

#[derive(Debug)]
pub struct Settings {
    /// The service's name in the log and in files.
    pub name: String,
    /// Tenant, service and namespace, bound in every key.
    pub context: Context,
    /// Names under which clients reach the service, lower case, without port.
    pub hosts: Vec<String>,
    /// Whether `bucket.host` is served as well.
    pub virtual_host: bool,
    /// Regions that clients may name in their signatures.
    pub regions: Vec<String>,
    pub upstream: UpstreamSettings,
    pub credentials: Vec<Credential>,
    /// Longest single PUT, part or copy that the provider takes, in sealed bytes.
    pub max_put: u64,
    /// Longest object, in plaintext bytes.
    pub max_object: u64,
    /// A single PUT with a verified `Content-MD5` gets it as its tag.
    pub etag_md5: bool,
    pub integrity: Integrity,
    pub conditional_writes: ConditionalWrites,
}

#[derive(Debug)]
pub struct UpstreamSettings {
    /// `host` or `host:port`, as the `Host` header has it.
    pub authority: String,
    pub region: String,
    pub addressing: Addressing,
    pub credential: KeyPair,
}

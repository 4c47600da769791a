//! S3's documents: reading them within limits, changing them in place, writing the gateway's own.

mod listing;
mod requests;
mod responses;
mod tree;
mod writer;

pub use listing::{Entry, Listing, Shown};
pub use requests::{
    CompletedPart, DeleteRequest, DeletedObject, check_restore, check_versioning,
    complete_document, complete_request, delete_document, delete_request,
};
pub use responses::{
    CopyResult, PartsPage, ProviderError, StoredPart, Upload, UploadsPage, complete_result,
    copy_result, initiate_result, parts_page, provider_error, uploads_page,
};
pub use tree::{Edits, Element, Malformed, parse};
pub use writer::{DECLARATION, NAMESPACE, Writer, escape};

//! The one place where a refusal becomes a response: in the protocol's own form, or as a problem document
//! (RFC 9457) when no service is known.

use http::Response;

use super::asked::Asked;
use crate::adapter::{Adapter, problem};
use crate::body::Released;
use crate::error::Refusal;

pub(super) fn refuse(
    adapter: Option<&dyn Adapter>,
    asked: &mut Asked,
    refusal: Refusal,
) -> Response<Released> {
    asked.code = Some(refusal.code.name);
    asked.log_refusal(&refusal);
    let response = match adapter {
        Some(adapter) => adapter.refuse(&refusal, &asked.refused()),
        None => problem(&refusal, &asked.refused()),
    };
    response.map(Released::document)
}

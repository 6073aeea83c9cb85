//! What stands before every call.

pub(crate) mod deadline;
pub(crate) mod hangup;
pub(crate) mod owner;

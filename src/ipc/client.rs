//! The client library: sign on, ask, receive events. (being built)

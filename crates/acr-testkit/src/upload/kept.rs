//! Sessions that an earlier process left.

use std::{
    io,
    sync::{Arc, Mutex},
};

use acr_core::Digester;

use super::{
    Open, Slot, Uploads,
    session::{Record, Session},
};
use crate::{
    content::{Spool, Store},
    ledger::{Ledger, Table},
    records::damaged,
};

impl Uploads {
    /// The sessions that an earlier process left.
    pub(crate) fn restore(store: &Arc<Store>, ledger: &Ledger) -> io::Result<Self> {
        let mut open = Open::default();
        for (id, _, record) in ledger.read::<Record>(Table::Uploads)? {
            let digester = Digester::restore(&record.digester).map_err(io::Error::other)?;
            let spool = Spool::resume(store, &id, digester);
            let damaged = |error| damaged(&format!("the upload `{id}`: {error}"));
            let spool = spool.map_err(damaged)?;
            open.order.push_back((record.started, id.clone()));
            let session = Session::restored(&id, record, spool);
            open.sessions.insert(id, Slot::of(session));
        }
        open.order.make_contiguous().sort();
        Ok(Self(Mutex::new(open)))
    }
}

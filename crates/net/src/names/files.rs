//! What the web server of a domain says, kept for as long as it says so.

use std::sync::Arc;
use std::time::Duration;

use waxwing_kernel::outgoing::Reach;

use super::meta::{self, Document};
use super::target::Posh;
use super::wellknown::Asking;
use super::{FAILURE, File, Names, posh};

/// How long it is remembered that a web server has nothing to say.
const NO_FILE: Duration = Duration::from_secs(600);

impl Names {
    pub(super) async fn posh_file(&self, name: &Arc<str>) -> File<Option<Arc<Posh>>> {
        if let Some(known) = self.0.poshes.find(name, self.now()) {
            return known;
        }
        let asked = posh::ask(&self.asking()?, name).await;
        let (posh, keep) = match asked {
            Ok(Some((posh, keep))) => (Ok(Some(Arc::new(posh))), keep),
            Ok(None) => (Ok(None), NO_FILE),
            Err(why) => (Err(Arc::from(why)), FAILURE),
        };
        self.0.poshes.keep(name.clone(), posh.clone(), self.until(keep), self.now());
        posh
    }

    pub(super) async fn host_meta(&self, name: &Arc<str>) -> File<Arc<Document>> {
        if let Some(known) = self.0.metas.find(name, self.now()) {
            return known;
        }
        let asked = meta::ask(&self.asking()?, name).await;
        let (document, keep) = match asked {
            Ok(Some(document)) => {
                let keep = document.keep.max(FAILURE);
                (Ok(Arc::new(document)), keep)
            }
            Ok(None) => (Ok(Arc::default()), NO_FILE),
            Err(why) => (Err(Arc::from(why)), FAILURE),
        };
        self.0.metas.keep(name.clone(), document.clone(), self.until(keep), self.now());
        document
    }

    fn asking(&self) -> File<Asking<'_>> {
        let fetch = self.0.fetch.as_deref().ok_or("this server asks no web servers")?;
        let reach = if self.state().has_private { Reach::Anywhere } else { Reach::Public };
        let (time, bytes_max) = (self.0.limits.well_known(), self.0.limits.well_known_bytes_max);
        Ok(Asking { fetch, reach, time, bytes_max })
    }
}

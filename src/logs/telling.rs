//! What the log thread tells the turn: trouble and its end, what was dropped, output that is awaited.
//!
//! Must never: wait for whoever hears it.

use super::plane::{PlaneReport, StreamId};
use super::shed::Tally;
use super::sink::Failure;
use super::stream::{Stream, Told};
use super::thread::Thread;

impl Thread {
    /// Tells output, as far as there is room on the way.
    pub(super) fn tell_output(&mut self, id: StreamId, told: Vec<Told>) {
        for one in told {
            let Told {
                generation,
                captured,
                bytes,
            } = one;
            let Some(excerpt) = self.account.excerpt(bytes) else {
                *self.untold.entry(id).or_default() += 1;
                continue;
            };
            if let Some(times) = self.untold.remove(&id) {
                self.report(PlaneReport::Untold { stream: id, times });
            }
            self.report(PlaneReport::Output {
                stream: id,
                generation,
                captured,
                excerpt,
            });
        }
    }

    pub(super) fn tell_drained(&mut self, id: StreamId, index: usize) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let Some(source) = stream.sources.get_mut(index) else {
            return;
        };
        if std::mem::take(&mut source.draining) {
            let generation = source.generation;
            self.tell_dropping(id);
            self.report(PlaneReport::Drained {
                stream: id,
                generation,
            });
        }
    }

    /// Takes back a failure that was told, if all is well again.
    pub(super) fn tell_recovery(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let well = stream.retry.is_none() && !stream.sink.cannot_rotate() && !stream.is_shedding();
        let well = well && !self.withheld.contains_key(&id);
        // Where lines were dropped it may have been a predecessor that had the trouble.
        if well && (stream.troubled || stream.shed_so_far().is_some()) {
            stream.troubled = false;
            let dropped = stream.shed_so_far().map(|tally| tally.to_string());
            stream.shed_before = Tally::default();
            self.report(PlaneReport::Recovered {
                stream: id,
                dropped,
            });
        }
    }

    /// Tells how much has been dropped so far, if anything was.
    pub(super) fn tell_dropping(&self, id: StreamId) {
        let stream = self.streams.get(id);
        if let Some(tally) = stream.and_then(Stream::shed_so_far) {
            let text = tally.to_string();
            self.report(PlaneReport::Dropping { stream: id, text });
        }
    }

    pub(super) fn tell_failure(&mut self, id: StreamId, failure: Failure) {
        let path = self
            .streams
            .get(id)
            .and_then(|stream| stream.config().path.clone());
        let file = path.map_or_else(|| "its file".to_owned(), |path| path.display().to_string());
        let drops = self.streams.get(id).is_some_and(Stream::is_shedding);
        let meanwhile = if drops { "; its lines are dropped" } else { "" };
        let text = format!(
            "cannot {} {file}: {}{meanwhile}",
            failure.doing, failure.error
        );
        self.report(PlaneReport::Stalled { stream: id, text });
    }

    pub(super) fn report(&self, report: PlaneReport) {
        // Unbounded, but never more than the commands and streams there are; closed at the end.
        let _ = self.reports.try_send(report);
    }
}

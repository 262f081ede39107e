//! Stands for every channel: takes notices, or does not, as a test says.

use std::sync::{Arc, Mutex, PoisonError};

use carebot_external::channels::{Notice, Undelivered};
use carebot_model::alarms::Channel;
use carebot_model::alarms::text::Language;
use carebot_service::alarms::deliver::Carried;
use carebot_service::alarms::{Address, Carrier};

/// A notice that was handed over: through which channel, to which address.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The channel.
    pub channel: Channel,
    /// The e-mail address, the address of the webhook or the device's endpoint.
    pub to: String,
    /// What was said.
    pub notice: Notice,
}

type Answer = Box<dyn Fn(&Posted) -> Result<(), Undelivered> + Send + Sync>;

/// Takes notices. Clones share what came.
#[derive(Clone, Default)]
pub struct Postbox {
    taken: Arc<Mutex<Vec<Posted>>>,
    answer: Arc<Mutex<Option<Answer>>>,
}

impl std::fmt::Debug for Postbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postbox").finish_non_exhaustive()
    }
}

impl Postbox {
    /// From now on what comes is answered so; what is refused is not kept.
    pub fn answers(&self, answer: impl Fn(&Posted) -> Result<(), Undelivered> + Send + Sync + 'static) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(answer));
    }

    /// What was taken since the last question.
    pub fn take(&self) -> Vec<Posted> {
        std::mem::take(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// To whom something was handed since the last question, in order.
    pub fn whom(&self) -> Vec<String> {
        self.take().into_iter().map(|posted| posted.to).collect()
    }
}

impl Carrier for Postbox {
    fn carry<'a>(&'a self, address: &'a Address, notice: &'a Notice, _: Language) -> Carried<'a> {
        let (channel, to) = match address {
            Address::Push(device) => (Channel::Push, device.endpoint.clone()),
            Address::Email(to) => (Channel::Email, to.clone()),
            Address::Webhook(url, _) => (Channel::Webhook, url.clone()),
        };
        Box::pin(async move {
            let posted = Posted { channel, to, notice: notice.clone() };
            if let Some(answer) = &*self.answer.lock().unwrap_or_else(PoisonError::into_inner) {
                answer(&posted)?;
            }
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(posted);
            Ok(())
        })
    }

    fn has(&self, channel: Channel) -> bool {
        matches!(channel, Channel::Push | Channel::Email | Channel::Webhook)
    }
}

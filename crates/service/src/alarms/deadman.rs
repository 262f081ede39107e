//! The server's own silence: while its loops of alarms turn, and only then, it gives a sign of life to an address of the operator's
//! choice. Whoever listens there tells somebody when the signs end; this server could not.

use std::time::Duration;

use carebot_external::ping::Ping;

use crate::Service;

/// How long a sign of life may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It was taken.
    Given,
    /// It was not taken.
    Lost,
    /// The loops do not turn, or did not yet: there was none to give.
    Withheld,
}

impl Service {
    /// Where signs of life go, if anywhere.
    pub(crate) const fn dead_man(&self) -> Option<&Ping> {
        self.alarms.settings.dead_man.as_ref()
    }

    /// Gives a sign of life if every loop of alarms turns.
    pub async fn give_sign_of_life(&self) -> Sign {
        let Some(ping) = self.dead_man().filter(|_| self.loops_turn()) else { return Sign::Withheld };
        match ping.send(PATIENCE).await {
            Ok(()) => Sign::Given,
            Err(error) => {
                tracing::warn!(host = ping.host(), %error, "a sign of life was not taken; the next one comes in a minute");
                Sign::Lost
            }
        }
    }
}

//! Who talks with the elder.

use std::path::PathBuf;
use std::time::Duration;

use carebot_external::Key;
use carebot_external::ai::openai;
use carebot_external::guard::Limits;
use carebot_service::assistant;

use super::secret::Secret;
use super::server::PublicUrl;
use super::setting::section;
use super::value::choice;

/// OpenAI's own endpoint.
const OPENAI: &str = "https://api.openai.com/v1";
/// Where the existing system's AI server listens by default.
const AI_SERVER: &str = "http://localhost:8001";

section! {
    /// Who talks with the elder and judges the mood. Words that mean danger are recognised with or without.
    pub struct Assistant in "assistant" {
        /// `off`: nobody. `openai`: a language model behind an endpoint that speaks OpenAI's chat completions (OpenAI, Ollama,
        /// vLLM, llama.cpp and others); what the elder says is sent there. `remote`: the existing system's AI server.
        provider: Provider = Provider::Off;
        /// The endpoint, up to and with `/v1`, or the address of the AI server.
        url: Option<PublicUrl> = None, default "`https://api.openai.com/v1` for `openai`, `http://localhost:8001` for `remote`";
        /// The endpoint's key. Endpoints of one's own often need none.
        key: Option<Secret> = None;
        /// The model's name, as the endpoint knows it.
        model: String = "gpt-4o-mini".to_owned();
        /// A text file that tells the model what to be and to do, instead of the one that comes with the program.
        prompt_file: Option<PathBuf> = None;
        /// How long the elder waits for an answer, all tries together; the existing robot gives up after 30 seconds. Who may be in
        /// danger gets the advice after three seconds at the latest.
        answer_seconds: u64 = 25, in 1..=600;
        /// How long one call may take for which nobody waits at the robot, such as a judgement.
        timeout_seconds: u64 = 60, in 1..=600;
        /// How many calls may run at the same time; more are refused after two seconds.
        concurrency: usize = 16, in 1..=1_000, unit "calls";
        /// How many earlier turns of a conversation the model is told, at most.
        context_turns: u32 = 20, in 0..=200, unit "turns";
        /// How many tokens the model is told for one answer, at most.
        context_tokens: usize = 4_000, in 500..=1_000_000, unit "tokens";
        /// How many tokens of a day's conversation are judged, at most; the newest count.
        transcript_tokens: usize = 12_000, in 500..=1_000_000, unit "tokens";
        /// The longest answer.
        answer_tokens: u32 = 400, in 16..=100_000, unit "tokens";
        /// The longest judgement.
        report_tokens: u32 = 3_000, in 256..=100_000, unit "tokens";
        /// How long conversations are kept.
        keep_days: u32 = 90, in 1..=36_500;
    }
}

choice! {
    /// Who answers.
    pub enum Provider {
        /// Nobody.
        Off = "off",
        /// An endpoint that speaks OpenAI's chat completions.
        OpenAi = "openai",
        /// The existing system's AI server.
        Remote = "remote",
    }
}

impl Assistant {
    /// What the use cases need to know; reads the prompt's file.
    ///
    /// # Errors
    /// Says why the file cannot be read.
    pub fn for_service(&self) -> Result<assistant::Settings, String> {
        let prompt = match &self.prompt_file {
            None => assistant::PROMPT.to_owned(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("assistant.prompt_file: {} can not be read: {error}", path.display()))?,
        };
        let limits = Limits {
            timeout: Duration::from_secs(self.timeout_seconds),
            concurrency: self.concurrency,
            ..Limits::default()
        };
        let url = |default: &str| self.url.as_ref().map_or(default, PublicUrl::as_str).to_owned();
        let provider = match self.provider {
            Provider::Off => assistant::Provider::Off,
            Provider::Remote => assistant::Provider::Remote(url(AI_SERVER), limits),
            Provider::OpenAi => assistant::Provider::OpenAi(openai::Settings {
                base_url: url(OPENAI),
                key: self.key.as_ref().map(|key| Key(key.reveal().to_owned())),
                model: self.model.clone(),
                answer_tokens: self.answer_tokens,
                report_tokens: self.report_tokens,
                limits,
            }),
        };
        Ok(assistant::Settings {
            provider,
            prompt,
            context_turns: self.context_turns,
            context_tokens: self.context_tokens,
            transcript_tokens: self.transcript_tokens,
            keep_days: self.keep_days,
            answer_within: Duration::from_secs(self.answer_seconds),
            ..assistant::Settings::default()
        })
    }
}

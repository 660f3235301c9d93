//! How calls went: handle time, speech, outcome, mood, latency, tools, cost, delays.

use crate::metric::definition::{Base, Definition, Sampled, Unit};
use crate::metric::name::Metric as M;

const WORDS: &str = "from word times of the transcript, approximate; calls without them are left out";
const DONE: Base = Base::Completion;
const MS_PER_MINUTE: i64 = 60_000;

pub(super) const ALL: [Definition; 31] = [
    Definition::ratio(M::TransferRate, "Transfer rate", DONE)
        .formula("engaged calls with at least one transfer / engaged calls (caller and agent both spoke)")
        .down(),
    Definition::mean(M::AhtAi, "Average handle time", DONE, Unit::Ms)
        .formula("duration of the agent's leg / connected calls with a known duration")
        .median_of(Sampled::HandleTime)
        .down()
        .target(180_000.0, 240_000.0)
        .on_wall(),
    Definition::mean(M::AhtCall, "Average handle time, whole call", DONE, Unit::Ms)
        .formula("duration, and for a bridged call until the transferred leg ended / connected calls with both known")
        .down(),
    Definition::ratio(M::DurationKnown, "Duration known", DONE).formula("connected calls with a duration / connected calls"),
    Definition::ratio(M::AgentTalkShare, "Agent talk share", DONE).formula("time the agent spoke / duration").estimated(WORDS),
    Definition::ratio(M::UserTalkShare, "Caller talk share", DONE).formula("time the caller spoke / duration").estimated(WORDS),
    Definition::ratio(M::SilenceShare, "Silence share", DONE).formula("time nobody spoke / duration").estimated(WORDS).down(),
    Definition::ratio(M::OvertalkShare, "Overtalk share", DONE).formula("time both spoke / duration").estimated(WORDS).down(),
    Definition::mean(M::InterruptionRate, "Interruptions per agent turn", DONE, Unit::Share)
        .formula("caller turns that began before the agent's last word ended / agent turns")
        .estimated(WORDS)
        .down(),
    Definition::ratio(M::Containment, "Containment", DONE)
        .formula("inbound calls of live people that no person of ours touched / inbound calls of live people (engaged, no voicemail or phone menu)")
        .up()
        .target(0.85, 0.80)
        .on_wall(),
    Definition::ratio(M::SuccessRate, "Success rate", DONE)
        .formula("calls that Retell's analysis calls successful / calls with that verdict")
        .up()
        .target(0.82, 0.75)
        .after_analysis()
        .on_wall(),
    Definition::ratio(M::AnalysedShare, "Analysed", DONE).formula("analysed calls / connected calls that are over").up(),
    Definition::ratio(M::SentimentNegative, "Sentiment, negative", DONE)
        .formula("negative / (positive + neutral + negative); unknown is not neutral and is left out")
        .down()
        .target(0.08, 0.12)
        .after_analysis()
        .on_wall(),
    Definition::count(M::SentimentPositiveCount, "Positive", DONE, Unit::Calls).formula("calls with positive sentiment").after_analysis(),
    Definition::count(M::SentimentNeutralCount, "Neutral", DONE, Unit::Calls).formula("calls with neutral sentiment").after_analysis(),
    Definition::count(M::SentimentNegativeCount, "Negative", DONE, Unit::Calls).formula("calls with negative sentiment").after_analysis(),
    Definition::count(M::SentimentUnknownCount, "Unknown", DONE, Unit::Calls).formula("calls whose sentiment Retell calls unknown").after_analysis(),
    Definition::count(M::SentimentOtherCount, "Other", DONE, Unit::Calls).formula("calls with a sentiment word we do not know").after_analysis(),
    Definition::percentile(M::LatencyE2e, "Response p95", Sampled::E2e)
        .formula("turns: caller stops to agent starts, without the network to the caller's device")
        .down()
        .target(1_400.0, 1_800.0)
        .on_wall(),
    Definition::percentile(M::LatencyAsr, "Speech to text p95", Sampled::Asr).formula("turns: speech to text").down(),
    Definition::percentile(M::LatencyLlm, "Language model p95", Sampled::Llm).formula("turns: model call to first speakable words").down(),
    Definition::percentile(M::LatencyTts, "Text to speech p95", Sampled::Tts).formula("turns: trigger to first byte of speech").down(),
    Definition::percentile(M::LatencyKnowledgeBase, "Knowledge base p95", Sampled::KnowledgeBase).formula("turns: look-up in the knowledge base").down(),
    Definition::percentile(M::LatencyS2s, "Speech to speech p95", Sampled::S2s).formula("turns: request to first byte of speech").down(),
    Definition::percentile(M::LatencyLlmWebsocketNetworkRtt, "Own model round trip p95", Sampled::LlmWebsocketNetworkRtt)
        .formula("turns: network round trip to the customer's own model server")
        .down(),
    Definition::ratio(M::ToolFailureRate, "Tool errors", DONE)
        .formula("tool results that say they failed / tool calls")
        .down()
        .target(0.01, 0.03)
        .on_wall(),
    Definition::sum(M::Cost, "Spend", DONE, Unit::Cents).formula("combined cost as Retell says it, calls and chats; calls without one are left out"),
    Definition::mean(M::CostPerCall, "Cost per call", DONE, Unit::Cents).formula("combined cost / calls with a cost").down(),
    Definition::mean(M::CostPerMinute, "Cost per minute", DONE, Unit::CentsPerMinute)
        .formula("combined cost / billed minutes, over calls with both; billed is not spoken time")
        .per(MS_PER_MINUTE)
        .down()
        .target(12.0, 15.0)
        .on_wall(),
    Definition::percentile(M::IntakeLag, "Intake lag p95", Sampled::IntakeLag)
        .formula("calls: receipt of the end event - end of the call by Retell's clock; negative differences count as 0")
        .down()
        .target(5_000.0, 15_000.0),
    Definition::percentile(M::AnalysisDelay, "Analysis delay p95", Sampled::AnalysisDelay)
        .formula("calls: receipt of the analysis event - receipt of the end event; negative differences count as 0")
        .down(),
];

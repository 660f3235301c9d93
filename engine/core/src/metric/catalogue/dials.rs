//! What became of outbound dials.

use crate::metric::definition::{Base, Definition};
use crate::metric::name::Metric as M;

const VOICEMAIL: &str = "by reason and by the analysis; Retell looks for voicemail in the first three minutes only";

pub(super) const ALL: [Definition; 7] = [
    Definition::ratio(M::ConnectRate, "Connect rate", Base::Arrival)
        .formula(
            "outbound calls answered by anything, voicemail included / outbound calls dialled (connected or over, blocked ones left out)",
        )
        .up(),
    Definition::ratio(M::ContactRate, "Contact rate", Base::Arrival)
        .formula("outbound calls with a live person (engaged, no voicemail or phone menu) / outbound calls dialled")
        .estimated(VOICEMAIL)
        .up(),
    Definition::ratio(M::VoicemailRate, "Voicemail rate", Base::Arrival)
        .formula("outbound calls answered by voicemail or a phone menu / connected outbound calls that are over")
        .estimated(VOICEMAIL),
    Definition::ratio(M::DialRefused, "Busy, declined, no answer", Base::Arrival)
        .formula("outbound calls of the class callee / outbound calls dialled")
        .down(),
    Definition::ratio(M::DialRouteFailed, "Route failures", Base::Arrival)
        .formula("outbound calls of the class route (number, carrier, spam mark) / outbound calls dialled")
        .down(),
    Definition::ratio(M::SilentConnectRate, "Silent connects", Base::Arrival)
        .formula("outbound calls where a person spoke and the agent said nothing within 2 s / outbound calls where a person spoke")
        .estimated("from word times of the transcript, approximate")
        .down()
        .target(0.03, 0.03),
    Definition::ratio(M::ChatSuccessRate, "Chat success rate", Base::Completion)
        .formula("chats that Retell's analysis calls successful / chats with that verdict")
        .up()
        .after_analysis(),
];

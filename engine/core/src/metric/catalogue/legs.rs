//! Waiting: the AI leg (connect to the agent's first word) and the human leg (transfer started to bridged).

use crate::metric::definition::{Base, Definition, Unit};
use crate::metric::name::Metric as M;

const FIRST_WORD: &str = "wait = start of the agent's first word in the transcript, approximate; calls without word times are left out";
const HANG_UP: &str = "a hang-up without any transcript counts up to 30 s; beyond, the transcript is taken as not kept";

pub(super) const ALL: [Definition; 10] = [
    Definition::ratio(M::ServiceLevelAi, "Service level, AI leg", Base::Arrival)
        .formula("calls whose agent spoke within the threshold (3 s) / (answered with known wait + abandoned + blocked)")
        .estimated(FIRST_WORD)
        .up()
        .target(0.95, 0.90)
        .on_wall(),
    Definition::mean(M::AsaAi, "Average speed of answer, AI leg", Base::Arrival, Unit::Ms)
        .formula("time from connect to the agent's first word / connected calls with a known first word")
        .estimated(FIRST_WORD)
        .down()
        .target(2_000.0, 3_000.0),
    Definition::ratio(M::AbandonmentAi, "Abandoned before speech", Base::Arrival)
        .formula("caller hung up before saying a word, or within the short-abandon time (5 s) / calls offered")
        .estimated(HANG_UP)
        .down()
        .target(0.02, 0.04)
        .on_wall(),
    Definition::ratio(M::ShortAbandonmentAi, "Short abandons", Base::Arrival)
        .formula("abandoned calls not longer than the short-abandon time (5 s) / calls offered; contained in abandonment, shown apart")
        .down(),
    Definition::ratio(M::ServiceLevelHuman, "Service level, human leg", Base::Arrival)
        .formula("transfers bridged within the threshold (20 s) / (bridged with known wait + abandoned)")
        .estimated("transfers without a bridge event have no wait and are left out; their share is transfer_unknown")
        .up()
        .target(0.80, 0.75)
        .on_wall(),
    Definition::mean(M::AsaHuman, "Average speed of answer, human leg", Base::Arrival, Unit::Ms)
        .formula("time from transfer started to bridged / bridged transfers with a known wait")
        .down()
        .target(20_000.0, 30_000.0),
    Definition::ratio(M::AbandonmentHuman, "Abandoned in transfer", Base::Arrival)
        .formula("transfers cancelled, or whose call ended before the bridge / transfers started")
        .down()
        .target(0.10, 0.20),
    Definition::count(M::TransfersStarted, "Transfers", Base::Arrival, Unit::Transfers).formula("transfer attempts, each leg counted"),
    Definition::ratio(M::TransferSuccess, "Transfer success", Base::Arrival)
        .formula("transfers bridged / transfers started")
        .up()
        .target(0.85, 0.75),
    Definition::ratio(M::TransferUnknown, "Transfers without known wait", Base::Arrival)
        .formula("transfers bridged without a bridge time, or handed over without any outcome (cold transfer) / transfers started"),
];

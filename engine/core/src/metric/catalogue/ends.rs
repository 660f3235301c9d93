//! How calls ended: counts by class of the disconnection reason, and error rates.

use crate::metric::definition::{Base, Definition, Unit};
use crate::metric::name::Metric as M;

const fn class(metric: M, name: &'static str, formula: &'static str) -> Definition {
    Definition::count(metric, name, Base::Completion, Unit::Calls).formula(formula)
}

const fn fault(metric: M, name: &'static str, formula: &'static str) -> Definition {
    Definition::ratio(metric, name, Base::Completion).formula(formula).down()
}

pub(super) const ALL: [Definition; 17] = [
    fault(
        M::ErrorRate,
        "Error rate",
        "calls ended by a fault of the provider or of the own model server / calls that are over",
    )
    .target(0.01, 0.03),
    fault(
        M::ErrorOwnModel,
        "Own model faults",
        "calls ended by a fault of the own model server / calls that are over",
    ),
    fault(
        M::ErrorProvider,
        "Provider faults",
        "calls ended by a fault at the provider / calls that are over",
    ),
    fault(
        M::ErrorRoute,
        "Route faults",
        "calls ended in the class route / calls that are over",
    ),
    class(M::EndedNormal, "Ended normally", "calls ended as conversations end"),
    class(M::EndedIntervened, "Intervened", "calls stopped or taken over by a person of ours"),
    class(
        M::EndedMachine,
        "Voicemail or phone menu",
        "calls answered by voicemail or a phone menu",
    ),
    class(M::EndedLimit, "Time limit", "calls ended by silence or the maximum duration"),
    class(M::EndedNotJoined, "Not joined", "calls the other side never joined"),
    class(M::EndedCallee, "Busy, declined, no answer", "dials busy, declined or not answered"),
    class(M::EndedRoute, "Route failed", "dials whose number or route failed"),
    class(M::EndedBlocked, "Blocked", "calls kept out by our own account or limit"),
    class(
        M::EndedFaultOwnModel,
        "Own model fault",
        "calls ended by a fault of the own model server",
    ),
    class(M::EndedFaultProvider, "Provider fault", "calls ended by a fault at the provider"),
    class(
        M::EndedTransferNotDone,
        "Transfer not done",
        "transfer agents' calls whose transfer was not done",
    ),
    class(
        M::EndedNew,
        "New reason",
        "calls with a reason that is not in our table yet: kept, counted, worth a look",
    ),
    class(
        M::EndedNoReason,
        "No reason given",
        "calls that are over without a disconnection reason",
    ),
];

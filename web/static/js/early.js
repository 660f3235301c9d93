// Before the first paint: tells the styles that scripts run.
document.documentElement.classList.add("js");

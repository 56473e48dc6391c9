package report

import "github.com/upmaru/icepak/checks"

// change says in a line what a result that holds after a reboot found before it,
// where that was something else, or nothing.
func change(all []checks.Result, r checks.Result) string {
	if r.When != checks.AfterReboot || r.Verdict != checks.Pass {
		return ""
	}
	for _, first := range all {
		if first.When != "" || first.Type != r.Type || first.ID != r.ID || first.Property != r.Property {
			continue
		}
		before, after := inline(plain(first.Actual)), inline(plain(r.Actual))
		if first.Actual != nil && r.Actual != nil && before != after {
			return cut(oneLine(before, lineLimit)+" before the reboot, "+oneLine(after, lineLimit)+" after it", lineLimit)
		}
	}
	return ""
}

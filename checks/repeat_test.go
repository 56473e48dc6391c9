package checks

import (
	"testing"
)

func TestWhatIsDoneIsNotDoneAgainAfterAReboot(t *testing.T) {
	yes := expects(t, Bool, true)
	item := func(typ string, r Resource, sources map[string]string) Item {
		return Item{Type: typ, ID: "x", Resource: r, Sources: sources}
	}
	installs := &Package{Install: true, Installed: yes}
	known := item("file", &File{Exists: yes}, nil)
	known.Known = []Result{{Property: "exists", Verdict: Pass, When: BeforeBoot}}
	c := Check{Name: "c", Reboot: true, Items: []Item{
		item("package", installs, map[string]string{"install": "f:1:1", "installed": "f:2:1"}),
		item("service", &Service{Start: true}, map[string]string{"start": "f:3:1"}),
		item("service", &Service{Start: true, Running: yes}, nil),
		known,
		item("file", &File{Exists: yes}, nil),
		item("file", &File{Common: Common{Skip: true}}, nil),
	}}
	again := c.Repeated()
	if len(again.Items) != 4 || len(c.Items) != 6 {
		t.Fatalf("%d items of %d", len(again.Items), len(c.Items))
	}
	p := again.Items[0].Resource.(*Package)
	if p.Install || !p.Installed.IsSet() || !installs.Install {
		t.Errorf("again %+v, of %+v", p, installs)
	}
	if s := again.Items[0].Sources; len(s) != 1 || s["installed"] == "" || len(c.Items[0].Sources) != 2 {
		t.Errorf("sources %v, of %v", s, c.Items[0].Sources)
	}
	if s := again.Items[1].Resource.(*Service); s.Start || !s.Running.IsSet() {
		t.Errorf("again %+v", s)
	}
	if again.Items[2].Type != "file" || again.Items[2].Known != nil || !again.Items[3].Resource.(*File).Skip {
		t.Errorf("again %+v", again.Items[2:])
	}
}

package checks

import (
	"testing"
	"time"
)

func TestTheClockIsComparedWithTheHostsAsItGoesOn(t *testing.T) {
	told := time.Now()
	for _, tt := range []struct {
		name          string
		ahead, passed time.Duration // the guest's clock of the host's, and since the plan came
	}{
		{"the same at once", 0, 0},
		{"the same an hour later", 0, time.Hour},
		{"ahead", 90 * time.Second, 3 * time.Minute},
		{"behind", -time.Hour, 3 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := &System{Host: HostFacts{Time: told.Round(0).Add(-tt.ahead)}, Told: told}
			if got := sys.clockOffset(told.Add(tt.passed)); got != tt.ahead {
				t.Errorf("offset %s, want %s", got, tt.ahead)
			}
		})
	}
}

func TestAClockThatIsFarOffFailsEitherWay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ahead time.Duration
		want  Verdict
	}{
		{"right", 0, Pass}, {"ahead", time.Hour, Fail}, {"behind", -time.Hour, Fail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			told := time.Now()
			sys := &System{Host: HostFacts{Time: told.Round(0).Add(-tt.ahead)}, Told: told}
			list := evaluate(t, sys, "clock", "", map[string]string{"offset": `{"lt": "30m"}`})
			checkOne(t, list, "offset", tt.want, "")
		})
	}
}

func TestAServersClockThatIsFarOffIsNoFaultOfAContainersImage(t *testing.T) {
	told := time.Now()
	sys := &System{Host: HostFacts{Time: told.Round(0).Add(-time.Hour), SharedClock: true}, Told: told}
	checkOne(t, evaluate(t, sys, "clock", "", map[string]string{"offset": `{"lt": "30m"}`}), "offset", Error, "server's clock")
	sys.Host.Time = told.Round(0)
	checkOne(t, evaluate(t, sys, "clock", "", map[string]string{"offset": `{"lt": "30m"}`}), "offset", Pass, "")
}

func TestWithoutAHostTheClockIsNoFault(t *testing.T) {
	checkProperty(t, &System{}, "clock", "", "offset", `{"lt": "1m"}`, Error, "there is no host")
}

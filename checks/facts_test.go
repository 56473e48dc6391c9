package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

func TestFactIsReadOnceAndSoIsItsError(t *testing.T) {
	var f facts
	reads := 0
	for range 2 {
		_, err := fact(t.Context(), &f, "n", func() (int, error) { reads++; return 0, errors.New("no") })
		if err == nil || reads != 1 {
			t.Errorf("after %d reads got %v", reads, err)
		}
	}
	f.forget("n")
	if n, err := fact(t.Context(), &f, "n", func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("after forget got %d, %v", n, err)
	}
}

func TestFactOfACancelledReaderIsNotKept(t *testing.T) {
	var f facts
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := fact(ctx, &f, "n", func() (int, error) { return 0, ctx.Err() })
	if err == nil {
		t.Fatal("no error")
	}
	if n, err := fact(t.Context(), &f, "n", func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestFactIsSafeForConcurrentUse(t *testing.T) {
	var f facts
	reads := 0
	done := make(chan int)
	for range 8 {
		go func() {
			n, _ := fact(t.Context(), &f, "n", func() (int, error) { reads++; return 7, nil })
			done <- n
		}()
	}
	for range 8 {
		if n := <-done; n != 7 {
			t.Errorf("got %d", n)
		}
	}
	if reads != 1 {
		t.Errorf("read %d times", reads)
	}
}

// itemOf makes an item with the properties, each a matcher in JSON.
func itemOf(t *testing.T, typ, id string, properties map[string]string) Item {
	t.Helper()
	it, err := NewItem(typ, id)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range properties {
		setProperty(t, it.Resource, name, text)
	}
	return it
}

// A countingFS counts how often each file or folder is opened.
type countingFS struct {
	fstest.MapFS
	opened map[string]int
}

func (c countingFS) Open(name string) (fs.File, error) {
	c.opened[name]++
	return c.MapFS.Open(name)
}

func (c countingFS) ReadDir(name string) ([]fs.DirEntry, error) {
	c.opened[name]++
	return c.MapFS.ReadDir(name)
}

func TestAHundredResourcesOfAKindCostOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packages, units := "", ""
		list := make([]Check, 10)
		for i := range 100 {
			name := fmt.Sprintf("thing%d", i)
			packages += name + "\tamd64\tinstall ok installed\t1.0\n"
			units += "Names=" + name + ".service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\n"
			c := &list[i%10]
			c.Name = fmt.Sprintf("check%d", i%10)
			c.Items = append(c.Items,
				itemOf(t, "package", name, map[string]string{"installed": `true`, "versions": `["1.0"]`}),
				itemOf(t, "service", name, map[string]string{"running": `true`, "enabled": `true`}),
				itemOf(t, "process", name, map[string]string{"running": `false`}),
				itemOf(t, "port", fmt.Sprint(1000+i), map[string]string{"listening": `false`}),
				itemOf(t, "mount", "/"+name, map[string]string{"exists": `false`}),
				itemOf(t, "user", "root", map[string]string{"exists": `true`}),
			)
		}
		sys := debianGuest(t, nil)
		files := countingFS{procGuest().FS.(fstest.MapFS), map[string]int{}}
		maps.Copy(files.MapFS, fstest.MapFS{
			"var/lib/dpkg/status":  {Data: []byte("x")},
			"run/systemd/system/x": {},
			"proc/self/mountinfo":  {Data: []byte(mountTable)},
			"etc/passwd":           {Data: []byte("root:x:0:0:root:/root:/bin/sh\n")},
		})
		sys.FS = files
		commands := map[string]int{}
		sys.Exec = func(_ context.Context, cmd Command) (Output, error) {
			commands[strings.Join(cmd.Args[:2], " ")]++
			if cmd.Args[0] == "systemctl" {
				return Output{Stdout: []byte(units)}, nil
			}
			return Output{Stdout: []byte(packages)}, nil
		}
		var l log
		Run(t.Context(), sys, list, &l)
		if got := l.ended(); strings.Count(got, "pass 80/80") != 10 {
			t.Errorf("got\n%s", strings.Join(l, "\n"))
		}
		if want := map[string]int{"dpkg-query -W": 1, "systemctl show": 1}; !maps.Equal(commands, want) {
			t.Errorf("commands: %v", commands)
		}
		for _, name := range []string{"proc", "proc/7/stat", "proc/10/cmdline", "proc/net/tcp", "proc/self/mountinfo", "etc/passwd"} {
			if files.opened[name] != 1 {
				t.Errorf("%s was opened %d times", name, files.opened[name])
			}
		}
	})
}

func TestFactsAreForgottenWithWhatChangesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := 0
		var seen []int
		look := item(&fake{look: func(ctx context.Context, sys *System) []Result {
			n, _ := fact(ctx, &sys.facts, "state", func() (int, error) { return state, nil })
			state++
			seen = append(seen, n)
			return []Result{{Verdict: Pass}}
		}})
		waits := item(&fake{look: func(context.Context, *System) []Result {
			time.Sleep(2 * time.Second)
			return []Result{{Verdict: Pass}}
		}})
		sys := debianGuest(t, script{
			"/bin/sh -c true":          prints(""),
			dpkgQuery:                  prints(""),
			aptUpdate:                  prints(""),
			aptInstall + "nginx":       prints(""),
			"systemctl start -- nginx": prints(""),
			showCommand("nginx"):       {shown("loaded", "active", "running", "enabled", "simple", "success", "met")},
		})
		sys.FS.(fstest.MapFS)["run/systemd/system/x"] = &fstest.MapFile{}
		command := itemOf(t, "command", "true", map[string]string{"exit-status": `0`})
		install := Item{Type: "package", Resource: &Package{Name: "nginx", Install: true}}
		start := Item{Type: "service", Resource: &Service{Name: "nginx", Start: true}}
		Run(t.Context(), sys, []Check{
			{Name: "a", Items: []Item{look, look, command, look, install, look}},
			{Name: "b", Items: []Item{look, start, look}},
			{Name: "c", Items: []Item{look, waits, look}},
		}, new(log))
		if want := []int{0, 0, 2, 3, 3, 5, 5, 7}; !slices.Equal(seen, want) {
			t.Errorf("seen %v, want %v", seen, want)
		}
	})
}

func TestServicesOfThePlanAreAskedForTogether(t *testing.T) {
	units := func(names ...string) Output {
		text := ""
		for _, name := range names {
			text += "Names=" + name + "\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\n"
		}
		return Output{Stdout: []byte(text)}
	}
	up := func(name string) []Output { return []Output{units(name)} }
	for _, tt := range []struct {
		name     string
		services []string
		commands script
		want     string
	}{
		{"by any of their names", []string{"cron", "dbus.socket", "rsyslog"},
			script{showCommand("cron dbus.socket rsyslog"): {units("dbus.socket", "rsyslog.service syslog.service", "cron.service")}},
			"pass pass pass"},
		{"one that is not told of", []string{"a", "b"},
			script{showCommand("a b"): {units("b.service")}, showCommand("a"): up("a.service")}, "pass pass"},
		{"names that would cost the others their answer", []string{"a", "b*", "c@", "d@x", "e/f", "g h"},
			script{
				showCommand("a d@x"): {units("a.service", "d@x.service")},
				showCommand("b*"):    {{}}, showCommand("g h"): up("g-h.service"),
			}, "pass fail fail pass fail pass"},
		{"a systemctl that refuses", []string{"a", "b"},
			script{showCommand("a b"): exits(1, "no"), showCommand("a"): up("a.service"), showCommand("b"): exits(1, "no")}, "pass fail"},
		{"an answer that is cut off", []string{"a", "b"},
			script{showCommand("a b"): {{Stdout: units("a.service").Stdout, Truncated: true}}, showCommand("a"): up("a.service"), showCommand("b"): up("b.service")},
			"pass pass"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Check{Name: "up"}
			for _, name := range tt.services {
				c.Items = append(c.Items, itemOf(t, "service", name, map[string]string{"running": `true`}))
			}
			var l log
			Run(t.Context(), fakeGuest(t, []string{"run/systemd/system/"}, tt.commands), []Check{c}, &l)
			var verdicts []string
			for _, line := range l[1 : len(l)-1] {
				verdicts = append(verdicts, strings.Fields(line)[1])
			}
			if got := strings.Join(verdicts, " "); got != tt.want {
				t.Errorf("got %q", l)
			}
		})
	}
}

func TestManyServicesAreAskedForInParts(t *testing.T) {
	var names []string
	for i := range maxUnits + 1 {
		names = append(names, fmt.Sprintf("s%04d", i))
	}
	commands := 0
	sys := &System{Exec: func(_ context.Context, cmd Command) (Output, error) {
		commands++
		text := ""
		for _, name := range cmd.Args[4:] {
			text += "Names=" + name + ".service\nLoadState=loaded\nActiveState=active\n\n"
		}
		return Output{Stdout: []byte(text)}, nil
	}}
	if states := (systemd{sys}).states(t.Context(), names); len(states) != len(names) || commands != 2 {
		t.Errorf("%d states by %d commands", len(states), commands)
	}
}

package lxd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func sameDigit(digit string) string { return strings.Repeat(digit, 64) }

func TestFingerprintsMayHaveCapitalsAndColons(t *testing.T) {
	want := strings.Repeat("ab", 32)
	for _, text := range []string{want, strings.ToUpper(want), strings.TrimSuffix(strings.Repeat("aB:", 32), ":")} {
		if got, err := ParseFingerprint(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", want[:62], want + "ab", "x" + want[1:], want[:63] + " "} {
		if got, err := ParseFingerprint(text); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestKnownServersRememberEachServerOnce(t *testing.T) {
	k := KnownServers{filepath.Join(t.TempDir(), "a", "b", "known")}
	if _, known, err := k.Lookup("https://rack1:8443"); known || err != nil {
		t.Errorf("before the first: %v, %v", known, err)
	}
	for i, addr := range []string{"https://rack1:8443", "https://rack2:8443", "https://Rack1:8443/"} {
		got, err := k.Remember(t.Context(), addr, sameDigit(fmt.Sprint(i)))
		if want := (KnownServer{sameDigit(fmt.Sprint(i % 2)), i%2 + 1}); got != want || err != nil {
			t.Errorf("%s: %v, %v", addr, got, err)
		}
	}
	if got, known, err := k.Lookup("https://rack2:8443"); got != (KnownServer{sameDigit("1"), 2}) || !known || err != nil {
		t.Errorf("looked up %v, %v, %v", got, known, err)
	}
	if _, known, _ := k.Lookup("https://rack2:8444"); known {
		t.Error("another port is another server")
	}
	for path, mode := range map[string]os.FileMode{k.Path: 0o600, filepath.Dir(k.Path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}

func TestKnownServersKeepWhatAPersonWrote(t *testing.T) {
	k := KnownServers{filepath.Join(t.TempDir(), "known")}
	mine := "# ours\n\nhttps://rack1:8443\t" + strings.ToUpper(sameDigit("a"))
	if err := os.WriteFile(k.Path, []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Remember(t.Context(), "https://rack2:8443", sameDigit("b")); got.Line != 4 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	text, err := os.ReadFile(k.Path)
	if want := mine + "\nhttps://rack2:8443 " + sameDigit("b") + "\n"; string(text) != want || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if got, known, err := k.Lookup("https://rack1:8443"); got != (KnownServer{sameDigit("a"), 3}) || !known || err != nil {
		t.Errorf("%v, %v, %v", got, known, err)
	}
}

func TestKnownServersThatAreBrokenTellNothing(t *testing.T) {
	k := KnownServers{filepath.Join(t.TempDir(), "known")}
	for text, want := range map[string]string{
		"https://rack1:8443\n":                                              ":1: want a server and a fingerprint",
		"\nhttps://rack1:8443 abc\n":                                        ":2: want a SHA-256 fingerprint",
		"https://rack1:8443 " + sameDigit("a") + " x":                       ":1: want a server and a fingerprint",
		"https://r:1 " + sameDigit("a") + "\nhttps://R:1 " + sameDigit("b"): ":2: https://r:1 is in line 1 already",
	} {
		if err := os.WriteFile(k.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := k.Lookup("https://rack2:8443")
		_, later := k.Remember(t.Context(), "https://rack2:8443", sameDigit("c"))
		if err == nil || later == nil || !strings.Contains(err.Error(), k.Path+want) {
			t.Errorf("%q: %v, %v", text, err, later)
		}
		if now, _ := os.ReadFile(k.Path); string(now) != text {
			t.Errorf("%q became %q", text, now)
		}
	}
}

// Every writer is heard, and of two that met the same server, both are told what
// the first one saw.
func TestKnownServersHaveManyWriters(t *testing.T) {
	k := KnownServers{filepath.Join(t.TempDir(), "known")}
	const writers = 16
	var got [writers]KnownServer
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			own := fmt.Sprintf("https://rack%d:8443", i)
			_, err := k.Remember(t.Context(), own, sameDigit("f"))
			var shared error
			got[i], shared = k.Remember(t.Context(), "https://shared:8443", fmt.Sprintf("%064x", i))
			if err = errors.Join(err, shared); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, known, err := k.read()
	if err != nil || len(known) != writers+1 {
		t.Errorf("%d known, %v", len(known), err)
	}
	for _, g := range got {
		if g != known["https://shared:8443"] {
			t.Errorf("told %v, the file has %v", g, known["https://shared:8443"])
		}
	}
	if left, _ := filepath.Glob(k.Path + "*"); len(left) != 2 {
		t.Errorf("left %v", left)
	}
}

func TestKnownServersWaitForOthersAsLongAsTheyMay(t *testing.T) {
	k := KnownServers{filepath.Join(t.TempDir(), "known")}
	lock, err := os.Create(k.Path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Remember(ctx, "https://rack1:8443", sameDigit("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzKnownServers(f *testing.F) {
	f.Add("# ours\nhttps://rack1:8443 " + sameDigit("a") + "\n")
	f.Add("https://rack1:8443 " + strings.ToUpper(sameDigit("a")) + "\r\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		known, err := parseKnown(text)
		if err != nil {
			return
		}
		for server, k := range known {
			if _, err := ParseFingerprint(k.Fingerprint); err != nil || k.Line < 1 || k.Line > strings.Count(text, "\n")+1 {
				t.Errorf("%q: %v", server, k)
			}
			if serverKey(server) != server {
				t.Errorf("%q is looked up as %q", server, serverKey(server))
			}
		}
	})
}

package browser

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"
)

// patience is how long the browser may take for anything that it is asked for.
const patience = time.Minute

// A tab is a browser with one page, spoken to over a pipe in the DevTools protocol.
type tab struct {
	t       *testing.T
	to      *os.File
	answers chan answer
	session string
	asked   int
	logged  []string // by the browser about the page: what it refused to load or run
}

// An answer is one, or an event, which has a method instead of an id.
type answer struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// openTab starts a browser that runs no scripts, and ends it with the test.
func openTab(t *testing.T) *tab {
	t.Helper()
	program := findBrowser(t)
	theirs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirs2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-breakpad",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{theirs, theirs2} // 3 and 4, as the protocol has it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	theirs2.Close()
	b := &tab{t: t, to: to, answers: make(chan answer)}
	done := make(chan struct{})
	go b.read(from, done)
	t.Cleanup(func() {
		close(done)
		to.Close() // which ends the browser
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Errorf("the browser does not end: %v", <-ended)
		}
	})
	var target struct{ TargetID string }
	b.ask("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.ask("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Log", "DOM"} {
		b.ask(domain+".enable", nil, nil)
	}
	b.ask("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	return b
}

// findBrowser returns the path of a Chromium, which must be there.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	t.Fatal("there is no Chromium; .ci/browser installs it")
	return ""
}

// read takes what the browser says until it ends or nobody listens any more.
func (b *tab) read(from *os.File, done <-chan struct{}) {
	defer close(b.answers)
	defer from.Close()
	r := bufio.NewReader(from)
	for {
		message, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var a answer
		if json.Unmarshal(message[:len(message)-1], &a) != nil {
			return
		}
		select {
		case b.answers <- a:
		case <-done:
			return
		}
	}
}

// ask has the browser do something, and decodes what comes of it.
func (b *tab) ask(method string, params, result any) {
	b.t.Helper()
	b.asked++
	message, err := json.Marshal(struct {
		ID      int    `json:"id"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
		Session string `json:"sessionId,omitempty"`
	}{b.asked, method, params, b.session})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(message, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	id := b.asked
	got := b.await(method, func(a answer) bool { return a.ID == id })
	if got.Error != nil {
		b.t.Fatalf("%s: %s", method, got.Error.Message)
	}
	if result != nil {
		if err := json.Unmarshal(got.Result, result); err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
	}
}

// await returns the first answer that is wanted, and notes on the way what the
// browser logs.
func (b *tab) await(what string, wanted func(answer) bool) answer {
	b.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case a, ok := <-b.answers:
			if !ok {
				b.t.Fatalf("%s: the browser has ended", what)
			}
			if a.Method == "Log.entryAdded" {
				b.logged = append(b.logged, string(a.Params))
			}
			if wanted(a) {
				return a
			}
		case <-limit:
			b.t.Fatalf("%s: the browser does not answer", what)
		}
	}
}

// A look is how a page is looked at.
type look struct {
	scheme        string // light, dark
	width, height int
	phone         bool
}

func (l look) String() string {
	if l.phone {
		return l.scheme + "-phone"
	}
	return l.scheme + "-desktop"
}

// open opens a page in that look.
func (b *tab) open(url string, l look) {
	b.t.Helper()
	b.logged = nil
	b.ask("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": l.scheme}}}, nil)
	b.ask("Emulation.setDeviceMetricsOverride", map[string]any{"width": l.width, "height": l.height, "deviceScaleFactor": 1, "mobile": l.phone}, nil)
	b.navigate(url)
}

func (b *tab) navigate(url string) {
	b.t.Helper()
	var result struct{ ErrorText string }
	b.ask("Page.navigate", map[string]any{"url": url}, &result)
	if result.ErrorText != "" {
		b.t.Fatalf("%s: %s", url, result.ErrorText)
	}
	b.await("load "+url, func(a answer) bool { return a.Method == "Page.loadEventFired" })
}

// html is the document as the browser understood it.
func (b *tab) html() string {
	b.t.Helper()
	var result struct{ OuterHTML string }
	b.ask("DOM.getOuterHTML", map[string]any{"nodeId": b.root()}, &result)
	return result.OuterHTML
}

// count counts the elements that a selector finds.
func (b *tab) count(selector string) int {
	b.t.Helper()
	var result struct{ NodeIDs []int }
	b.ask("DOM.querySelectorAll", map[string]any{"nodeId": b.root(), "selector": selector}, &result)
	return len(result.NodeIDs)
}

func (b *tab) root() int {
	b.t.Helper()
	var document struct{ Root struct{ NodeID int } }
	b.ask("DOM.getDocument", map[string]any{"depth": 0}, &document)
	return document.Root.NodeID
}

// size is what the page takes to be shown without scrolling.
func (b *tab) size() (width, height float64) {
	b.t.Helper()
	var m struct {
		CSSContentSize struct{ Width, Height float64 }
	}
	b.ask("Page.getLayoutMetrics", nil, &m)
	return m.CSSContentSize.Width, m.CSSContentSize.Height
}

// shoot returns a picture of the whole page, as PNG.
func (b *tab) shoot() []byte {
	b.t.Helper()
	width, height := b.size()
	var shot struct{ Data []byte }
	b.ask("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}, &shot)
	return shot.Data
}

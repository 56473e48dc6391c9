package cli

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/upmaru/icepak/cmd/internal/push"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// pushProgress shows how far a push has come: on a terminal in a line that changes,
// elsewhere in a line at each quarter of a file.
type pushProgress struct {
	env      *Env
	terminal bool
	width    int
	file     string
	began    time.Time // of the file
	drawn    time.Time
	quarter  int64
}

func newPushProgress(env *Env) *pushProgress {
	p := &pushProgress{env: env, terminal: isTerminal(env.Err) && env.Getenv("TERM") != "dumb", width: 80}
	if f, ok := env.Err.(*os.File); ok && p.terminal {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			p.width = width
		}
	}
	return p
}

const pushInterval = 100 * time.Millisecond // between two drawings of the line

func (p *pushProgress) update(now push.Progress) {
	if now.File != p.file {
		p.file, p.began, p.quarter = now.File, time.Now(), 0
	}
	took := time.Since(p.began).Seconds()
	line := fmt.Sprintf("%s: %d%% of %s, %s/s", now.File, now.Sent*100/max(now.Size, 1),
		report.Size(now.Size), report.Size(int64(float64(now.Sent)/max(took, 0.001))))
	if p.terminal {
		if time.Since(p.drawn) >= pushInterval {
			p.drawn = time.Now()
			fmt.Fprintf(p.env.Err, "\r\x1b[K%.*s", p.width-1, line)
		}
		return
	}
	if quarter := now.Sent * 4 / max(now.Size, 1); quarter > p.quarter {
		p.quarter = quarter
		fmt.Fprintln(p.env.Err, line)
	}
}

// erase takes the line off the terminal.
func (p *pushProgress) erase() {
	if p.terminal {
		fmt.Fprint(p.env.Err, "\r\x1b[K")
	}
}

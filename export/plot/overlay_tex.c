/* Overlay as LaTeX source that people can edit: \colorbox{kv2}{\strut token} for marked tokens, plain text for
 * the rest.
 *
 * The file compiles by itself with pdfLaTeX, XeLaTeX and LuaLaTeX and can be \input into a paper (which loads
 * xcolor); characters that pdfLaTeX has no font for, and bytes that are no character, stand in \kvchar and
 * \kvbyte, whose meaning can be changed in one place.
 */
#include <string.h>

#include "engine/utf8.h"
#include "export/draw/printable.h"
#include "export/plot/overlay.h"

static void put_code(FILE *f, const char *from, size_t step, uint32_t code)
{
	static const struct {
		char c;
		const char *tex;
	} special[] = {
		{'\\', "\\textbackslash{}"},
		{'{', "\\{"},
		{'}', "\\}"},
		{'$', "\\$"},
		{'&', "\\&"},
		{'#', "\\#"},
		{'%', "\\%"},
		{'_', "\\_"},
		{'^', "\\textasciicircum{}"},
		{'~', "\\textasciitilde{}"},
		{'<', "\\textless{}"},
		{'>', "\\textgreater{}"},
		{'|', "\\textbar{}"},
		{'"', "\\textquotedbl{}"},
		{'\'', "\\textquotesingle{}"},
		{'`', "\\textasciigrave{}"},
		{'-', "{-}"},
	};
	for (size_t i = 0; code < 0x80 && i < sizeof special / sizeof *special; i++)
		if (special[i].c == (char)code) {
			fputs(special[i].tex, f);
			return;
		}
	if (step == 0)
		fprintf(f, "\\kvbyte{%02X}", (unsigned char)*from);
	else if (!utf8_is_printable(code))
		fprintf(f, "\\kvbyte{%02X}", code);
	else if (code < 0x80)
		fputc((int)code, f);
	else if (code == 0x2265)
		fputs("$\\ge$", f);
	else if (code == 0xd7)
		fputs("$\\times$", f);
	else
		fprintf(f, "\\kvchar{%X}{%.*s}", code, (int)step, from);
}

struct writer {
	const struct overlay *o;
	int panel;
	FILE *f;
	size_t at;    /* byte of tokens.text that comes next */
	int n_line;   /* characters of the source line so far, to break it at blanks */
};

/* Writes bytes [at, end) without line breaks and leading blanks, which stand outside of boxes. */
static void put_text(struct writer *w, size_t end)
{
	const struct capture *c = evaluation_capture(w->o->ev);
	size_t limit = (size_t)c->offset[w->o->last];
	while (w->at < end) {
		uint32_t code = 0;
		size_t step = utf8_decode(c->text + w->at, limit - w->at, &code);
		if (code == ' ' || code == '\t')
			fputs("\\ ", w->f);
		else
			put_code(w->f, c->text + w->at, step, code);
		w->at += step ? step : 1;
	}
}

/* Blanks and line breaks before a token's text. */
static void put_blanks(struct writer *w, size_t end)
{
	const char *text = evaluation_capture(w->o->ev)->text;
	int blanks = 0, breaks = 0;
	for (; w->at < end && (text[w->at] == ' ' || text[w->at] == '\n'); w->at++) {
		blanks += text[w->at] == ' ';
		breaks += text[w->at] == '\n';
	}
	if (breaks)
		fputs(breaks > 1 ? "\n\n" : "\\kvbreak\n", w->f);
	for (int i = 1; i < blanks; i++)
		fputs("\\ ", w->f);
	if (blanks && !breaks)
		fputc(++w->n_line % 12 ? ' ' : '\n', w->f);
}

static void put_token(struct writer *w, int i)
{
	const struct capture *c = evaluation_capture(w->o->ev);
	int position = w->o->first + i, step = w->o->panel[w->panel].step[i];
	size_t end = (size_t)c->offset[position + 1], start = w->at;
	const char *text = c->text;
	size_t solid = start;
	while (solid < end && (text[solid] == ' ' || text[solid] == '\n'))
		solid++;
	bool missed = overlay_is_missed(w->o, w->panel, position);
	if (solid < end || !(step || missed))
		put_blanks(w, end);
	if (step)
		fprintf(w->f, "\\colorbox{kv%d}{\\strut ", step);
	else if (missed)
		fputs("\\fcolorbox{black}{white}{\\strut ", w->f);
	if (solid == end && (step || missed)) { /* a kept blank is a box of its own */
		bool breaks = memchr(text + start, '\n', end - start);
		fputs(breaks ? "\\kvreturn}" : "\\ }\\allowbreak\n", w->f);
		if (breaks)
			put_blanks(w, end);
		w->at = end;
		return;
	}
	put_text(w, end);
	if (step || missed)
		fputc('}', w->f);
}

static void put_preamble(const struct overlay *o, FILE *f)
{
	char note[300];
	overlay_note_text(o, note, sizeof note);
	fputs(
		"% Compiles by itself, or: \\usepackage{xcolor} and \\input this file.\n"
		"\\makeatletter\n"
		"\\ifx\\documentclass\\@twoclasseserror\\def\\kvend{}\\else\\ifx\\documentclass\\@notprerr\\def\\kvend{}\\else\n"
		"\\documentclass{article}\n"
		"\\ifdefined\\pdfoutput\\usepackage[T1]{fontenc}\\usepackage[utf8]{inputenc}\\usepackage{textcomp}"
		"\\IfFileExists{lmodern.sty}{\\usepackage{lmodern}}{}\\else\\usepackage{fontspec}\\fi\n"
		"\\usepackage{xcolor}\n\\begin{document}\n\\def\\kvend{\\end{document}}\n\\fi\\fi\n\\makeatother\n",
		f);
	for (int i = 1; i <= o->n_step; i++) {
		char text[40];
		overlay_step_text(o, i, text, sizeof text);
		fprintf(f, "\\definecolor{kv%d}{HTML}{%06X} %% %s\n", i, overlay_tint(o, i), text);
	}
	fputs(
		"\\providecommand\\kvbyte[1]{{\\setlength\\fboxsep{0.6pt}\\fbox{\\tiny\\ttfamily #1}}} % a byte that is no character\n"
		"\\providecommand\\kvchar[2]{\\ifdefined\\pdfoutput\\ifnum\"#1<\"180 #2\\else\\kvbyte{#1}\\fi\\else#2\\fi}"
		" % code, character\n"
		"\\providecommand\\kvbreak{\\hfil\\break}\n\\providecommand\\kvreturn{$\\hookleftarrow$}\n",
		f);
	fprintf(f, "%% %s\n", note);
}

/* UTF-8 with everything escaped. */
static void put_escaped(FILE *f, const char *text)
{
	for (size_t n = strlen(text), i = 0; i < n;) {
		uint32_t code = 0;
		size_t step = utf8_decode(text + i, n - i, &code);
		put_code(f, text + i, step, code);
		i += step ? step : 1;
	}
}

static void put_legend(const struct overlay *o, FILE *f)
{
	char text[300];
	fputs("\n\\begingroup\\setlength\\fboxsep{0pt}\\setlength\\parindent{0pt}\\raggedright\\footnotesize\n", f);
	for (int i = 1; i <= o->n_step; i++) {
		overlay_step_text(o, i, text, sizeof text);
		fprintf(f, "\\colorbox{kv%d}{\\strut ", i);
		put_escaped(f, text);
		fputs("}\\quad\n", f);
	}
	overlay_note_text(o, text, sizeof text);
	put_escaped(f, text);
	fputs("\\par\\endgroup\n", f);
}

void overlay_tex(const void *plot, FILE *f)
{
	const struct overlay *o = plot;
	const struct capture *c = evaluation_capture(o->ev);
	put_preamble(o, f);
	for (int p = 0; p < o->n_panel; p++) {
		struct writer w = {.o = o, .panel = p, .f = f, .at = (size_t)c->offset[o->first]};
		fprintf(f,
			"\n\\begingroup\\setlength\\fboxsep{0pt}\\setlength\\parindent{0pt}\\raggedright\\footnotesize\n\\textbf{(%c)} ",
			'a' + p % 26);
		put_escaped(f, o->panel[p].label);
		fputs("\\par\\smallskip\n", f);
		for (int i = 0; i < o->last - o->first; i++)
			put_token(&w, i);
		fputs("\\par\\endgroup\n\\medskip\n", f);
	}
	put_legend(o, f);
	fputs("\\kvend\n", f);
}

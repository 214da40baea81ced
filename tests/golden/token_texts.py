"""Texts and chat templates that the golden token ids are made from. Written for this purpose."""

TEXTS = {
    "prose": "The keeper of the harbour light wrote down every ship that passed. In forty years he missed only two, "
    "and he could tell you both their names; “neither was worth the ink,” he'd say -- and then he'd tell you anyway.",
    "code_c": "static int twice(int x)\n{\n\tif (x > INT_MAX / 2)\n\t\treturn -1; /* too large */\n\treturn 2 * x;\n}\n",
    "code_python": "def mean(xs):\n    total = 0.0\n    for i, x in enumerate(xs):\n        total += x  # not Kahan's sum\n"
    "    return total / len(xs) if xs else float('nan')\n\n\nprint(f\"{mean([1, 2, 3]):.3f}\")\n",
    "json": '{"ids":[1,22,333,4444],"pieces":["\\u0120a","b"],"ok":true,"x":-1.5e-7}',
    "chinese": "灯塔的看守人记下了经过的每一艘船。四十年里，他只漏记了两艘。",
    "japanese": "灯台守は、通り過ぎる船をすべて書き留めた。コーヒーを飲みながら、ｶﾀｶﾅも２つ。",
    "korean": "등대지기는 지나가는 모든 배를 적었다. 한글 자모: \u1112\u1161\u11ab\u1100\u1173\u11af.",
    "arabic": "كتب حارس المنارة كل سفينة مرّت. في أربعين عامًا، لم يفته سوى ٢ فقط.",
    "hebrew": "שומר המגדלור רשם כל אנייה שעברה, וְלֹא שָׁכַח.",
    "hindi": "दीपस्तंभ के रखवाले ने हर जहाज़ लिखा। १२३४५",
    "thai": "คนเฝ้าประภาคารจดเรือทุกลำที่ผ่านไป",
    "russian": "Смотритель маяка записывал каждый корабль. Ещё ёлка.",
    "greek": "Ο φύλακας του φάρου. ΣΊΣΥΦΟΣ σίσυφος",
    "european": "Çà et là, l'été où l'œuvre naïve du vigneron — Größe, Ærø, Łódź, İstanbul, ǅ.",
    "emoji": "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ☕️ 1️⃣ 🫠",
    "emoji_runs": "😀😀😀😀 👨‍🚀👨‍🚀!!",
    "composed": "é à ñ ö Å ẹ̇ ả",
    "decomposed": "e\u0301 a\u0300 n\u0303 o\u0308 A\u030a e\u0323\u0307 a\u0309 q\u0307\u0323",
    "marks": "a\u0301\u0301\u0301\u0323 \u0301lead \u0345\u0301 x\u0334\u0315\u0300\u05ae",
    "singletons": "\u212b \u2126 \u00c5 \u03a9 \u2000x\u2001 \uf900 \ufb1d >\u0338 <\u0338",
    "new_marks": "b\u0301\u08d3 b\u1abf\u0301 b\u0898\u05ae",
    "new_letters": "a\U000313afb \U0002ebf0\U00011f04x \U00013460",
    "contractions": "I'll we've they're it's he'd can't I'm 'tis o'clock rock'n'roll",
    "contractions_upper": "I'LL WE'VE THEY'RE IT'S HE'D CAN'T I'M 'TIS I'Ll we'Re IT'\u017f",
    "quotes": "'s 't 're 've 'm 'll 'd ''s s' ’s ‘re",
    "digits": "1 12 123 1234 12345 123456 1234567 3.14159 1,000,000 0x1F 2024-07-26 10:30",
    "other_digits": "٣٤٥ १२३ ½ ² ³ Ⅷ ① 𝟗𝟗 ４２",
    "letters_digits": "abc123def456 x1y2 v2.0.1 R2D2",
    "spaces": " a  b   c    d ",
    "leading": "   three before",
    "trailing": "three after   ",
    "only_spaces": "        ",
    "one_space": " ",
    "tabs": "\ta\t\tb \t c\t",
    "newlines": "a\nb\n\nc\n\n\nd\n \n e\n",
    "only_newlines": "\n\n\n\n",
    "windows": "one\r\ntwo\r\n\r\nthree\rfour\n\r",
    "space_newline": "a \n b  \n\n  c \t\n",
    "odd_spaces": "a\u00a0b\u2003c\u3000d\u202fe\u2009\u2009f\u1680g\u0085h\u2028i\u180ej",
    "zero_width": "a\u200bb\u200cc\u200dd\ufeffe\u2060f\u00adg",
    "controls": "a\x00b\x01c\x07d\x1be\x1c\x1ff\x7fg",
    "punctuation": "!!! ??? ... --- ___ === <<>> (){}[] @#$%^&* ~` |\\/ ;:",
    "punctuation_words": " .hello ,world (yes) [no] -x --flag $HOME #tag @me",
    "punctuation_newline": "end.\n\nnext!\n?\n;\r\n",
    "url": "https://example.org/a/b?x=1&y=%20z#top user@example.org",
    "markdown": "# Title\n\n- one\n  - two\n\n```c\nint x;\n```\n| a | b |\n|---|---|\n",
    "control": "<|im_start|>user\nHi<|im_end|>\n<|endoftext|><|begin_of_text|><|eot_id|> <|start_header_id|>",
    "control_near": "<|im_start|> <|im_start |> <|im_start <|im_end|<|im_end|> a<|endoftext|>b<file_sep>c",
    "tool_tags": "<think>\nhm\n</think>\n<tool_call>x</tool_call>",
    "long_letters": "a" * 300,
    "long_word": "antidisestablishmentarianism" * 20,
    "long_digits": "9" * 200,
    "long_spaces": " " * 200 + "x",
    "long_newlines": "\n" * 100 + "x",
    "long_dashes": "-" * 200,
    "long_marks": "e" + "\u0301\u0323" * 100,
    "long_cjk": "船" * 100,
    "mixed": "Mix: 漢字kana仮名 123abc…  \t\n\n «ok» 🙂x\u0301y 'll\n",
    "planes": "\U0001f600\U00020000\U000e0001\U000f0000\U0010ffff",
    "private": "\ue000\uf8ff\ufffd\ufdd0",
    "ligatures": "ﬁ ﬂ ﬆ ß ŉ Ǆ",
    "math": "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β → β, ∑ᵢ xᵢ² ≥ 0",
    "code_spaces": "if x:\n        y = 1\n\n\n\n    # c\n\t  z\n",
    "camel": "getHTTPResponseCode parseJSON2XML snake_case_name SCREAMING_SNAKE kebab-case",
}

CONVERSATION = [
    {"role": "system", "content": "Answer like a pilot. <|im_end|>"},
    {"role": "user", "content": "Is the Sleeper where it was?"},
    {"role": "assistant", "content": " It moved.\n"},
    {"role": "user", "content": "  Where to, 老周?  "},
]
MESSAGES = {
    "plain": "Which ships did the keeper miss?",
    "control": "What does <|im_end|> mean?<|im_start|>system\nnew rules<|eot_id|><|start_header_id|>x",
    "spaced": "  \n\tspaces around \n\n",
    "leading_newline": "\nnewline first",
    "marks": "\u0301starts and ends with marks e\u0323",
    "chinese": "那两艘船叫什么？",
    "tool": "<tool_response>\n42\n</tool_response>",
    "think": "<think>no</think> 1234 <|endoftext|>",
    "half_control": "ends like a token <|im_",
}

LOOP = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

# In the manner of the families' own: the same constructs and the same rendering of one user message.
TEMPLATES = {
    "chatml": LOOP + PROMPT,
    "chatml_default_system": "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}" + PROMPT,
    "chatml_bos_trim": "{{ bos_token }}\n{% for m in messages %}\n    {% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}\n"
    "        {{ raise_exception('turns alternate') }}\n    {% endif %}\n\n"
    "    {{ '<|im_start|>' + m['role'] + '\\n' + m['content'] | trim + '<|im_end|>\\n' }}\n{% endfor %}\n\n"
    "{% if add_generation_prompt %}\n    {{ '<|im_start|>assistant\\n' }}\n{% endif %}\n",
    "qwen2.5": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {%- for tool in tools %}
        {{- "\\n" ~ (tool | tojson) }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- tool_call.arguments | tojson }}
        {%- endfor %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "qwen3": """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + reasoning + content.split('</think>')[-1].lstrip('\\n') }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "llama3": "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "llama3_fixed_date": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system turn, given or not. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\\n" + builtin_tools | reject('equalto', 'x') | join(", ") }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one call at a time") }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "llama3_today": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    # Of no family: refused.
    "vicuna": "{% for m in messages %}USER: {{ m['content'] }}\n{% endfor %}ASSISTANT:",
    "inst": "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}",
    "no_prompt": LOOP,
    "message_dropped": "{{ '<|im_start|>user\\n<|im_end|>\\n<|im_start|>assistant\\n' }}",
    "raises": "{{ raise_exception('not today') }}" + LOOP + PROMPT,
    "unknown_filter": "{{ messages[0].content | wordwrap }}" + LOOP + PROMPT,
    "unknown_tag": "{% include 'x' %}" + LOOP + PROMPT,
    "broken": "{% for m in messages %}{{ m.content }}",
}

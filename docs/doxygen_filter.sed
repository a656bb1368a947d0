# llmir.h for Doxygen: comments that open a line describe what follows, those behind a member describe it; titles of
# sections describe nothing. Backslashes and angle brackets of comments are text, not commands and tags.
s/\\\(.\)/\\\\\1/g
s/<|/\&lt;|/g
/^ *\/\* ----/b
1s/^\/\* /\/** \\file\
 * /
s/^\( *\)\/\* /\1\/** /
s/\([;,{]\)\( *\)\/\* /\1\2\/**< /
s/^ \* \(Owns\|Threads\|Memory\|Time\|Errors\): */ *\
 * **\1:** /
s/^ \*   \([a-z_]\{1,\}\)  \{1,\}/ * - `\1` /

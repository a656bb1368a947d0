# cmake -DSOURCE=page.html -DOUTPUT=page.c -P page.cmake: the page as an array of bytes.
file(READ ${SOURCE} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "((0x[0-9a-f][0-9a-f],){24})" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"server/server.h\"\nconst unsigned char server_page[] = {\n${bytes}\n};\n"
  "const size_t server_page_bytes = sizeof(server_page);\n")

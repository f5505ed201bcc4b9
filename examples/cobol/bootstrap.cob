*> A Lambda runtime in COBOL, free format. GnuCOBOL calls the C library by name, so the loop over
*> the Runtime API needs nothing but socket, connect, send and recv.
IDENTIFICATION DIVISION.
PROGRAM-ID. bootstrap.

DATA DIVISION.
WORKING-STORAGE SECTION.
01 api-address          PIC X(64).
01 api-host             PIC X(48).
01 api-port             PIC X(8).
01 handler-name         PIC X(128).

01 socket-fd            BINARY-LONG.
01 outcome              BINARY-LONG.
01 transferred          BINARY-DOUBLE.
01 internet-address     BINARY-LONG UNSIGNED.
01 socket-address.
   05 family            BINARY-SHORT UNSIGNED VALUE 2.
   05 port-high         BINARY-CHAR UNSIGNED.
   05 port-low          BINARY-CHAR UNSIGNED.
   05 ip-address        PIC X(4).
   05 FILLER            PIC X(8) VALUE LOW-VALUES.
01 port-number          BINARY-LONG UNSIGNED.

01 crlf                 PIC X(2) VALUE X"0D0A".
01 request-path         PIC X(128).
01 request-verb         PIC X(8).
01 error-type           PIC X(64).
01 error-text           PIC X(256).
01 request-body         PIC X(1024).
01 body-length          BINARY-LONG.
01 body-length-text     PIC Z(9)9.
01 message-out          PIC X(4096).
01 message-length       BINARY-LONG.
01 sent                 BINARY-LONG.

*> An event has at most 6 MiB; its head is far below the rest.
01 buffer               PIC X(6300000).
01 buffer-length        BINARY-LONG.
01 head-length          BINARY-LONG.
01 event-length         BINARY-LONG.
01 wanted               BINARY-LONG.
01 header-name          PIC X(64).
01 header-value         PIC X(256).
01 header-name-length   BINARY-LONG.
01 position-now         BINARY-LONG.
01 position-end         BINARY-LONG.
01 request-id           PIC X(64).
01 deadline-ms          PIC 9(18).

01 result-bases         PIC 9(9).
01 result-gc            PIC 9(9).
01 result-orf           PIC 9(9).
01 shown-bases          PIC Z(8)9.
01 shown-gc             PIC Z(8)9.
01 shown-orf            PIC Z(8)9.

PROCEDURE DIVISION.
main-loop.
    PERFORM connect-to-api
    ACCEPT handler-name FROM ENVIRONMENT "_HANDLER"
    IF handler-name NOT = "genome.handler"
        MOVE "Runtime.NoSuchHandler" TO error-type
        STRING "there is no handler " FUNCTION TRIM(handler-name) DELIMITED BY SIZE INTO error-text
        MOVE "/2018-06-01/runtime/init/error" TO request-path
        PERFORM report-error
        STOP RUN RETURNING 1
    END-IF
    PERFORM UNTIL 1 = 2
        PERFORM next-event
        MOVE SPACES TO error-type error-text
        CALL "genome" USING buffer(head-length + 1:event-length) event-length deadline-ms
            result-bases result-gc result-orf error-type error-text
        IF error-type = SPACES
            PERFORM report-answer
        ELSE
            MOVE SPACES TO request-path
            STRING "/2018-06-01/runtime/invocation/" FUNCTION TRIM(request-id) "/error"
                DELIMITED BY SIZE INTO request-path
            PERFORM report-error
        END-IF
    END-PERFORM.

connect-to-api.
    ACCEPT api-address FROM ENVIRONMENT "AWS_LAMBDA_RUNTIME_API"
    UNSTRING api-address DELIMITED BY ":" OR SPACE INTO api-host api-port
    COMPUTE port-number = FUNCTION NUMVAL(api-port)
    DIVIDE port-number BY 256 GIVING port-high REMAINDER port-low
    STRING FUNCTION TRIM(api-host) X"00" DELIMITED BY SIZE INTO api-host
    CALL "inet_pton" USING BY VALUE 2 BY REFERENCE api-host ip-address RETURNING outcome
    CALL "socket" USING BY VALUE 2 1 0 RETURNING socket-fd
    CALL "connect" USING BY VALUE socket-fd BY REFERENCE socket-address BY VALUE 16
        RETURNING outcome
    IF outcome NOT = 0
        DISPLAY "cannot connect to " FUNCTION TRIM(api-address) UPON STDERR
        STOP RUN RETURNING 1
    END-IF.

next-event.
    MOVE "GET" TO request-verb
    MOVE "/2018-06-01/runtime/invocation/next" TO request-path
    MOVE 0 TO body-length
    MOVE SPACES TO error-type
    PERFORM exchange
    MOVE "lambda-runtime-aws-request-id:" TO header-name
    PERFORM find-header
    MOVE header-value TO request-id
    MOVE "lambda-runtime-deadline-ms:" TO header-name
    PERFORM find-header
    COMPUTE deadline-ms = FUNCTION NUMVAL(header-value)
    MOVE "lambda-runtime-trace-id:" TO header-name
    PERFORM find-header
    SET ENVIRONMENT "_X_AMZN_TRACE_ID" TO header-value.

report-answer.
    MOVE result-bases TO shown-bases
    MOVE result-gc TO shown-gc
    MOVE result-orf TO shown-orf
    MOVE SPACES TO request-body request-path
    STRING '{"bases":' FUNCTION TRIM(shown-bases) ',"gc":' FUNCTION TRIM(shown-gc)
        ',"longest_orf":' FUNCTION TRIM(shown-orf) '}' DELIMITED BY SIZE INTO request-body
    STRING "/2018-06-01/runtime/invocation/" FUNCTION TRIM(request-id) "/response"
        DELIMITED BY SIZE INTO request-path
    MOVE "POST" TO request-verb
    COMPUTE body-length = FUNCTION LENGTH(FUNCTION TRIM(request-body))
    PERFORM exchange.

*> error-text holds no character that JSON escapes: the program below sees to it.
report-error.
    MOVE SPACES TO request-body
    STRING '{"errorType":"' FUNCTION TRIM(error-type) '","errorMessage":"' FUNCTION TRIM(error-text)
        '","stackTrace":["bootstrap.cob: genome"]}' DELIMITED BY SIZE INTO request-body
    MOVE "POST" TO request-verb
    COMPUTE body-length = FUNCTION LENGTH(FUNCTION TRIM(request-body))
    PERFORM exchange.

*> Sends request-verb, request-path and request-body; leaves the answer in buffer.
exchange.
    MOVE body-length TO body-length-text
    MOVE 1 TO message-length
    STRING FUNCTION TRIM(request-verb) " " FUNCTION TRIM(request-path) " HTTP/1.1" crlf
        "Host: " FUNCTION TRIM(api-address) crlf
        "Content-Type: application/json" crlf
        "Content-Length: " FUNCTION TRIM(body-length-text) crlf DELIMITED BY SIZE
        INTO message-out WITH POINTER message-length
    IF error-type NOT = SPACES
        STRING "Lambda-Runtime-Function-Error-Type: " FUNCTION TRIM(error-type) crlf
            DELIMITED BY SIZE INTO message-out WITH POINTER message-length
    END-IF
    STRING crlf DELIMITED BY SIZE INTO message-out WITH POINTER message-length
    IF body-length > 0
        STRING request-body(1:body-length) DELIMITED BY SIZE
            INTO message-out WITH POINTER message-length
    END-IF
    SUBTRACT 1 FROM message-length
    MOVE 0 TO sent
    PERFORM UNTIL sent >= message-length
        COMPUTE wanted = message-length - sent
        CALL "send" USING BY VALUE socket-fd BY REFERENCE message-out(sent + 1:wanted)
            BY VALUE SIZE 8 wanted BY VALUE 0 RETURNING transferred
        PERFORM check-transfer
        ADD transferred TO sent
    END-PERFORM
    PERFORM receive-answer.

receive-answer.
    MOVE 0 TO buffer-length head-length
    PERFORM UNTIL head-length > 0
        PERFORM receive-more
        PERFORM VARYING position-now FROM 1 BY 1
            UNTIL position-now > buffer-length - 3 OR head-length > 0
            IF buffer(position-now:4) = X"0D0A0D0A"
                COMPUTE head-length = position-now + 3
            END-IF
        END-PERFORM
    END-PERFORM
    MOVE "content-length:" TO header-name
    PERFORM find-header
    MOVE 0 TO event-length
    IF header-value NOT = SPACES
        COMPUTE event-length = FUNCTION NUMVAL(header-value)
    END-IF
    PERFORM UNTIL buffer-length >= head-length + event-length
        PERFORM receive-more
    END-PERFORM.

receive-more.
    COMPUTE wanted = FUNCTION LENGTH(buffer) - buffer-length
    CALL "recv" USING BY VALUE socket-fd BY REFERENCE buffer(buffer-length + 1:wanted)
        BY VALUE SIZE 8 wanted BY VALUE 0 RETURNING transferred
    PERFORM check-transfer
    ADD transferred TO buffer-length.

check-transfer.
    IF transferred <= 0
        DISPLAY "the Runtime API hung up" UPON STDERR
        STOP RUN RETURNING 1
    END-IF.

*> header-name (lower case, with its colon) of the answer to header-value; spaces if there is none.
find-header.
    MOVE SPACES TO header-value
    COMPUTE header-name-length = FUNCTION LENGTH(FUNCTION TRIM(header-name))
    PERFORM VARYING position-now FROM 1 BY 1 UNTIL position-now > head-length - header-name-length
        IF buffer(position-now:2) = crlf AND
            FUNCTION LOWER-CASE(buffer(position-now + 2:header-name-length))
                = header-name(1:header-name-length)
            COMPUTE position-now = position-now + 2 + header-name-length
            MOVE position-now TO position-end
            PERFORM UNTIL buffer(position-end:2) = crlf
                ADD 1 TO position-end
            END-PERFORM
            MOVE FUNCTION TRIM(buffer(position-now:position-end - position-now)) TO header-value
            EXIT PERFORM
        END-IF
    END-PERFORM.

END PROGRAM bootstrap.

*> Bases, GC and the longest open reading frame of a genome, which is the member "sequence" of the
*> event. Letters need no escapes, so the member is found without a parser of JSON.
IDENTIFICATION DIVISION.
PROGRAM-ID. genome.

DATA DIVISION.
WORKING-STORAGE SECTION.
01 at-start             BINARY-LONG.
01 at-end               BINARY-LONG.
01 at-now               BINARY-LONG.
01 last-codon           BINARY-LONG.
01 frame                BINARY-LONG.
01 orf-length           BINARY-LONG.
01 position-text        PIC Z(8)9.
01 codon                PIC X(3).
   88 start-codon       VALUE "ATG".
   88 stop-codon        VALUES "TAA" "TAG" "TGA".
01 base                 PIC X.
   88 is-base           VALUES "A" "C" "G" "T" "N".
   88 is-gc             VALUES "G" "C".
01 unix-time.
   05 unix-seconds      BINARY-DOUBLE.
   05 unix-nanoseconds  BINARY-DOUBLE.
01 left-ms              BINARY-DOUBLE.
01 left-text            PIC -(17)9.
01 bases-text           PIC Z(8)9.

LINKAGE SECTION.
01 event-text           PIC X(6300000).
01 event-length         BINARY-LONG.
01 deadline-ms          PIC 9(18).
01 bases                PIC 9(9).
01 gc                   PIC 9(9).
01 longest-orf          PIC 9(9).
01 error-type           PIC X(64).
01 error-text           PIC X(256).

PROCEDURE DIVISION USING event-text event-length deadline-ms bases gc longest-orf
    error-type error-text.
genome-main.
    MOVE 0 TO bases gc longest-orf
    PERFORM find-sequence
    IF error-type = SPACES
        PERFORM count-bases
    END-IF
    IF error-type = SPACES
        PERFORM find-longest-orf VARYING frame FROM 0 BY 1 UNTIL frame > 2
        PERFORM write-log
    END-IF
    GOBACK.

*> at-start and at-end become the first and last letter of the sequence.
find-sequence.
    MOVE 0 TO at-start
    PERFORM VARYING at-now FROM 1 BY 1 UNTIL at-now > event-length - 11 OR at-start > 0
        IF event-text(at-now:10) = '"sequence"'
            COMPUTE at-start = at-now + 10
        END-IF
    END-PERFORM
    IF at-start = 0
        MOVE "InvalidEvent" TO error-type
        MOVE "no member sequence" TO error-text
        EXIT PARAGRAPH
    END-IF
    PERFORM UNTIL at-start >= event-length OR event-text(at-start:1) = '"'
        ADD 1 TO at-start
    END-PERFORM
    ADD 1 TO at-start
    MOVE at-start TO at-end
    PERFORM UNTIL at-end >= event-length OR event-text(at-end:1) = '"'
        ADD 1 TO at-end
    END-PERFORM
    SUBTRACT 1 FROM at-end
    COMPUTE bases = at-end - at-start + 1
    IF bases > 0
        INSPECT event-text(at-start:bases) CONVERTING "acgtn" TO "ACGTN"
    END-IF.

count-bases.
    PERFORM VARYING at-now FROM at-start BY 1 UNTIL at-now > at-end
        MOVE event-text(at-now:1) TO base
        IF NOT is-base
            COMPUTE position-text = at-now - at-start + 1
            MOVE "InvalidSequence" TO error-type
            IF base = "\" OR base < SPACE
                MOVE "?" TO base
            END-IF
            STRING "no base: " FUNCTION UPPER-CASE(base) " at " FUNCTION TRIM(position-text)
                DELIMITED BY SIZE INTO error-text
            EXIT PARAGRAPH
        END-IF
        IF is-gc
            ADD 1 TO gc
        END-IF
    END-PERFORM.

find-longest-orf.
    MOVE 0 TO orf-length
    COMPUTE last-codon = at-end - 2
    COMPUTE at-now = at-start + frame
    PERFORM UNTIL at-now > last-codon
        MOVE event-text(at-now:3) TO codon
        EVALUATE TRUE
            WHEN orf-length = 0 AND start-codon
                MOVE 1 TO orf-length
            WHEN orf-length = 0
                CONTINUE
            WHEN stop-codon
                IF orf-length > longest-orf
                    MOVE orf-length TO longest-orf
                END-IF
                MOVE 0 TO orf-length
            WHEN OTHER
                ADD 1 TO orf-length
        END-EVALUATE
        ADD 3 TO at-now
    END-PERFORM.

write-log.
    CALL "clock_gettime" USING BY VALUE 0 BY REFERENCE unix-time
    COMPUTE left-ms = deadline-ms - unix-seconds * 1000 - unix-nanoseconds / 1000000
    MOVE left-ms TO left-text
    MOVE bases TO bases-text
    DISPLAY FUNCTION TRIM(bases-text) " bases, " FUNCTION TRIM(left-text) " ms left".

END PROGRAM genome.

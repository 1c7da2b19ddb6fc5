"""The characters of the score, as stock CarRacing shows them: bold sans serif digits and a minus sign.

Plain data, measured from what pygame-ce draws with its default font at size 42.
"""

import base64
import zlib

import numpy as np

MINUS = 10  # what comes after the digits in both tables
HEIGHT, WIDTH = 32, 23  # of a glyph, in pixels of the stock's window
ADVANCE = (23,) * 10 + (13,)  # from one pen position to the next, in pixels

# What is added to ADVANCE between a character (row) and the next (column), in 1/64 pixel. (The stock's font has it so.)
KERNING = np.array(
    [
        [156, 0, 196, 202, 0, 212, 0, 0, 175, 215, 0],
        [0, -228, 0, 0, 0, 0, 0, -175, 0, 0, 0],
        [226, 0, 0, 188, 0, 0, 207, 0, 188, 245, 0],
        [188, 0, 164, 234, 0, 237, 177, 0, 207, 210, 0],
        [239, 0, 159, 247, 0, 239, 231, 0, 261, 215, 0],
        [0, 0, 0, 196, 0, 207, 0, 0, 169, 207, 0],
        [177, 0, 0, 220, 0, 234, 167, 0, 196, 218, 0],
        [0, 0, 0, 0, -167, 0, 0, 0, 0, 0, 0],
        [175, 0, 185, 218, 0, 228, 164, 0, 191, 231, 0],
        [0, 0, 188, 175, 0, 185, 0, 0, 0, 188, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    np.int64,
)

_COMPRESSED = (
    "c-rlmd30698Nk2CBg=yj5>b{w5eiZXve+J#2%(BLU4WL-"
    "DhP_~9z-a%w5g&fQZ2S&)qwVhRSU%$5I8D`lB0wzkcA{ff*}M9iCM@-Aj``mxt;mGnR#>P-k#&Jc-mUOf8IC0+}zo}?E-"
    "M|#J`YT9;iQ_JO(rwlx9iUe}kfTHCsWcA1&yumn~f`((}GE)I4{njFb!y#|u%fNnjmMX+nJx$9bsI5bj5PH`Bh2+WVrP6TIQ?3@`)n0)baz>rQ~R"
    "sEiW$K5Q)p*o{grfk$F1S@zgbVCrcnz~}t8K~A_E;)4J<#Y%}gAwB^R;J>93dl44`(8SfUVY3+E3jh5~(vFBv12ppAGKqbN^8w2FZ>_{phz|ke^W"
    "Q5H_e1;+z+P0Y5%_!9+5qq(DmM#!54Ii!n1jl6ftO?J4uBg`*&=WTZ?yQBR>-y1;Yfdu&+Ovr?@%qdozqLG|Aga+Qrhs-"
    "2ZWL)26f4HPRja;eiE8AS``~Sg9jB&>7kuXPkeHAg}?0B$`SC@NStl=l)UYVAGTa@*LCd%4v8K*WmAJ?oD9$x<Z5I6uixOW1%8^#VjH?`Rr-ZM{i"
    "mskgEV;KN5K=ZRo$Jj4f;u`5!YwnMccKs%KIaJk6JBxhlP3nh|}+ozMZ`@B8l|xD@%|QivPI@8!t0$8)~zupCQ=DWm*<$a=hqM>X>pGafHBVI|58"
    "Ohgi-5ZAi7bE;Ou66VnJ+8+5E6@i05Rn-(X<PG`3wExk^MVK33lFATMf;W*KfSe?!ktC!wOgAxA_YrP><qu1vXygXHZLH`n>MMHGzD-fnN+BV$hh"
    "<+Guqg@(lxb|mZmaxP7G-3EP%P9=!y5lN$?03gsLT-"
    "6F?My>+Nmlasupo@x6MSv)B(<^jK;#eN1<l4d@cwwjVmD`}m6O)go1X&G|I~$f^ZQ#+U&`<*)Hc%#AH&86OiR@x4hkVos$fR=;!telG3{stmkxxl"
    "m5$pkQxMNFXb+5~&PM30^Ux&~oHmZq={YgS%8}rPf9r9@*5MdeY!!V=!ySBm5?*h&g=9)5U?gPSW%B0{uQ4&%f^_CRAK~J$#Xdy<bQik{+*5{I`7"
    "+c)c@SIg0=$CC4x-"
    "U#vGq8>4`>cAM)BAq2lciAZ0C;<_h+RQi)n7c`&(_ClTRWkytUiMbZJgwQZ!qd*ikdSiK&J4f!f?Rrbhgmfye`{K0UJB6|ZxR0ES(0!=3}K@d97b"
    "iw@kCpR+{{`~qudc}+Zm_1AWb>AyUODCjouOxCLCYT~F$)|%>Yg2}A0&*2+yZeu=bkcn}RmpeS^Y#x<{n>d==ump$S-"
    "N>{zo$i?RXJrd(Nfrdnre(QWysLu$XJU~rESrou?j(H39ap>J>nv9sj~Sch(&!k>WwhPr7|1F;e+vo^em-"
    "_$ZiZiR&~Sbv5*>ILAILAFmV8|8KY#eiffC=#@%nl(=C&l^s+Sp)IocWV-"
    "_1$xLI060QtgbxHG<FQryl)Z;8FI<4s&bC4}<{pMeQ+>|B`2($R3H{B2Di`#OusS+=1A!6uqTIwhQ^XQzq^vUow3LlY8y&-"
    "U?8M!<H8GFNhxoI1)@LnHNVp*3P1+ClP-Z&r|4Ww2u6mb{E0z`Lv8$QK0A<^b$d7{t>-"
    "!UYo6GF;<RhOs0bE+k0y!b8OPF^UY1AA1)hUpWX1JW3_Gm(jzPMbhO)6EdcK+X`j=2pT*)u;d%BEo}obJ&(x|tnn}LZT7;nh?qAa^wpu;*$_fI&G"
    "pLTI$bc#@eC!xI?h(D;zJyDE87=?P+@|@qLWvSAA+$P<H%4F=0LJaCu<A~3nHWO&6o$aj@5ssId>1jgtm+fmHt_v}28Xq)=Zg|h@y7w_qTdVRT)x"
    "n8r>Mb#ZSq)UQP@#;a*j`lN{$Mpel3eiCsB#EB@Q_v-KkN*m8|5fwbgwhDOeJrbDPgrZP_8Og<RM**m{C#m>GOZH~OY#m3@$V&*F8JA65i281D&L"
    "KM|pSdmR4fU?WjmE?r=SPFJWM>id?0B@^_m8?hq2%->MBd2+|ASvA?`CSRdrJZlaB_o{I?xMew$4LTHK`;7(-"
    "!<(2FZeYBLt!A}}EYed3^<tiMD%8M_;3yId8d)PESi7KwYd0qnfe&wUtv^{KO`IhHY{ORJ!*fmiEN1$VCeD#{SQp#Bz&%#I&DDCebuuy577I)ohS"
    "~OZ_iVx8cqbuVWnxOtmYH}Q#w&4-W9zy5<(!(<s{B_c>w6X-On1*JhXwPl=m+pwL8lo9^Y@gr)Y087*e_D`0EPgGsBi1b>zkCsuICti-5zqr-"
    "o0vZD)coSg_fUdIE--JR$b;A_IRzp*I){xDmn53OjT?4GYsp<+;>0EuTCG-cVHQI;q{?0GdOLXD7@6W`W!QFRg1D(!>Q6YhOP<dk2jJR?~-"
    "aPl^@;i-^d+47!%reA;mMr%(RZ7xRd5HfMUQ00A58!?#XXt41p!;fLxP-"
    "6hn!+{pTuDlV%+YB8?J9BR&F9go>={Oppa3s))QzyAwjO*Fykz(j4C6Ir0sZ3;21`|Gu!=`Duk>nvbLBK4(lm)l2v36B|vDWsb;|!NNu5Y%Ou`Id"
    "^+Ob)fF#>r=wMfLZp<e6y&bwJL2{KU-Z(#ngfI>T-JDux+udd2O)|`xq_qbP>Q793)3eNq*-_a*-"
    "?}^ZXQRLxKM4!$V1=W_w>^+GZ8HDt~#QgZR*6$*5^Gw&Fyosb1AY5dTU<1?uxj2<7|$7#X%m+)I`%=rYP<I$rMlW>xCpvP*`ybhR6Y==b~#Kqoq-"
    "mlnr_4^9$sBrp6daC)f>UO3sM0eXBtE>`d(Tl;*i`sjT^6tZe3(`TPQ%BwzYZOZPy&WnOr#Iwx3o@o2pqXZYWik+ZwuW|XYxT0n9W6vDDrn6MlSm"
    "<kzwVEa9zNI+q<M@QAEw|*Ri|~yucWk45<{RWk!+M==^~zBV-WLq|7U^}V(Mg%*txd%{AL;_%$bXaki=xDT0RLaeKLM9wB(e"
)

# Opacity 0-255 of the characters [11, HEIGHT, WIDTH].
GLYPHS = np.frombuffer(zlib.decompress(base64.b85decode(_COMPRESSED)), np.uint8).reshape(-1, HEIGHT, WIDTH)

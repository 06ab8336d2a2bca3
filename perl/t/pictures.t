use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempfile);
use MIME::Base64 qw(decode_base64);
use AI::MXNet qw(mx);

needs_operators(qw(_cvimdecode _cvimread _imdecode));

my $png = decode_base64(
'iVBORw0KGgoAAAANSUhEUgAAAAQAAAADCAIAAAA7ljmRAAAAH0lEQVR42mPkOsFow8AAQSwM5xgYGFghCM7hYmDgAgBTcANVjaZD4QAAAABJRU5ErkJggg=='
);
my $jpeg = decode_base64(<<'J');
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYF
BgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsKDAkKCgr/2wBDAQICAgICAgUDAwUKBwYHCgoKCgoK
CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgr/wAARCAAMABADAREA
AhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAABwb/xAAcEAACAQUBAAAAAAAAAAAAAAAABiQFByIy
orH/xAAXAQEAAwAAAAAAAAAAAAAAAAAIBAYJ/8QAHBEAAgIDAQEAAAAAAAAAAAAAAAYEIgUhMgIR
/9oADAMBAAIRAxEAPwAPSLNaRORRtLZ1YpiKyc7GBIs1pE5Dc0tnVhmojJzYtUhWo2EbwntOSl2s
Zjok+TXYwJCtRsIwbmnIy7WGaiTpPzzs/9k=
J

sub bytes { return nd->array([unpack 'C*', shift], dtype => 'uint8') }

# Where the picture in the JPEG file came from: red rises to the right, green downwards, blue falls.
my @ramp = map {
    my $y = $_;
    map { (40 + $_ * 12, 60 + $y * 10, 200 - $_ * 5 - $y * 3) } 0 .. 15
} 0 .. 11;

sub furthest
{
    my ($x) = @_;
    my @far = sort { $a <=> $b } map { abs($ramp[$_] - $x->[$_]) } 0 .. $#ramp;
    return $far[-1];
}

my @colours = (10, 200, 1, 70, 200, 1, 130, 200, 1, 190, 200, 1, 10, 150, 1);
my $picture = nd->_cvimdecode(bytes($png));
is_deeply([@{ $picture->shape }, $picture->dtype], [3, 4, 3, 'uint8'], 'height, width, colours');
is_deeply([($picture->aspdl->list)[0 .. 14]], \@colours, 'red, green, blue');
is_deeply([(nd->_cvimdecode(bytes($png), to_rgb => 0)->aspdl->list)[0 .. 2]], [1, 200, 10], 'blue, green, red');
is_deeply(nd->_cvimdecode(bytes($png), flag => 0)->shape, [3, 4, 1], 'grey');

$picture = nd->_cvimdecode(bytes($jpeg));
is_deeply($picture->shape, [12, 16, 3], 'a JPEG');
cmp_ok(furthest([$picture->aspdl->list]), '<=', 6, 'close to what it was made from');
my $grey = nd->_cvimdecode(bytes($jpeg), flag => 0)->astype('float64')->aspdl;
my $luma = $picture->astype('float64')->aspdl;
is_close(
    [$grey->list],
    [
        map {
            0.299 * $luma->at(0, $_ % 16, int $_ / 16) + 0.587 * $luma->at(1, $_ % 16, int $_ / 16) +
                0.114 * $luma->at(2, $_ % 16, int $_ / 16)
        } 0 .. 191
    ],
    'grey is the luma of the colours',
    0.02
);

my ($file, $name) = tempfile(UNLINK => 1);
binmode $file;
print {$file} $jpeg;
close $file or die $!;
is_close(nd->_cvimread($name), [$picture->aspdl->list], 'from a file');
is_close(nd->_cvimread(filename => $name, to_rgb => 0)->flip(axis => 2), [$picture->aspdl->list], 'and its order');

dies_with(
    sub { nd->_cvimdecode(bytes('not a picture')) },
    qr/_cvimdecode: a JPEG or PNG picture is wanted/,
    'no picture'
);
dies_with(sub { nd->_cvimdecode(bytes(substr $png, 0, 60)) }, qr/_cvimdecode: the PNG picture cannot/, 'half a PNG');
dies_with(
    sub { nd->_cvimdecode(bytes(substr $jpeg, 0, 100)) },
    qr/_cvimdecode: the JPEG picture cannot/,
    'a bit of a JPEG'
);
dies_with(sub { nd->_cvimdecode(nd->zeros([9])) }, qr/_cvimdecode.*uint8/, 'numbers');
dies_with(sub { nd->_cvimdecode(bytes($png), flag => 2) }, qr/_cvimdecode: flag/, 'an unknown flag');
dies_with(sub { nd->_cvimread("$name.none") }, qr/_cvimread: the file \Q$name.none\E cannot be read/, 'no file');

# The old way: channels first, blue, green, red, less a mean; a piece of it; into one of several.
{
    my $all = nd->_cvimdecode(bytes($png), to_rgb => 0)->transpose(axes => [2, 0, 1])->astype('float32');
    my $got = nd->imdecode($png, mean => nd->ones([3, 3, 4]));
    is($got->dtype, 'float32', 'the dtype of the mean');
    is_deeply($got->aspdl->unpdl, ($all - 1)->aspdl->unpdl, 'all of it, less the mean');
    my $piece = nd->imdecode($png, clip_rect => [1, 0, 3, 2], mean => nd->zeros([3, 2, 2], dtype => 'float64'));
    my $want = $all->slice_axis(axis => 1, begin => 0, end => 2)->slice_axis(axis => 2, begin => 1, end => 3);
    is_deeply($piece->aspdl->unpdl, $want->aspdl->unpdl, 'a piece');
    my $many = nd->zeros([2, 3, 3, 4]);
    my $out = nd->imdecode($png, { out => $many, index => 1, mean => nd->zeros([3, 3, 4]) });
    is_deeply($out->at(1)->aspdl->unpdl, $all->aspdl->unpdl, 'into the second of two');
    is($many->at(0)->abs->sum->asscalar, 0, 'and nowhere else');
    is_deeply(nd->imdecode($png, channels => 1, mean => nd->zeros([1, 3, 4]))->shape, [1, 3, 4], 'grey');
    is_deeply(nd->imdecode($png)->shape, [3, 4, 3], 'without a mean it is the new way');
    dies_with(
        sub { nd->imdecode($png, mean => nd->zeros([3, 2, 2])) },
        qr/_imdecode: mean must be as large as the result, got \(3,2,2\), want \(3,3,4\)/,
        'a small mean'
    );
    dies_with(
        sub { nd->imdecode($png, clip_rect => [0, 0, 9, 1], mean => nd->zeros([3, 1, 9])) },
        qr/_imdecode: the piece is not in the picture/,
        'a piece outside'
    );
    dies_with(
        sub { nd->imdecode($png, channels => 2, mean => nd->zeros([2, 3, 4])) },
        qr/_imdecode: c must be 1 or 3/,
        'two channels'
    );
    dies_with(
        sub { nd->imdecode('no', mean => nd->zeros([3, 3, 4])) },
        qr/_imdecode: a JPEG or PNG picture is wanted/,
        'no picture'
    );
}

done_testing;

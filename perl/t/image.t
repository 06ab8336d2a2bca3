use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(_cvimresize _image_crop reverse transpose));

my $image = mx->image;
my $src = nd->arange(stop => 7 * 9 * 3)->reshape([7, 9, 3])->astype('uint8');
sub shape { return join 'x', @{ $_[0]->shape } }

# -- sizes

srand 4;
for my $draw (1 .. 5) {
    my ($crop, $box) = $image->random_size_crop($src, [4, 3], 0.3, [0.75, 1.3]);
    is(shape($crop), '3x4x3', 'random_size_crop: its size');
    my ($x, $y, $w, $h) = @$box;
    ok($x >= 0 && $y >= 0 && $x + $w <= 9 && $y + $h <= 7 && $w * $h >= 0.15 * 63, "... of the box @$box");
}
is(shape($image->ResizeAug(5)->($src)->[0]), '5x6x3', 'ResizeAug');
is(shape($image->RandomSizedCropAug([2, 2], 0.5, [1, 1])->($src)->[0]), '2x2x3', 'RandomSizedCropAug');
dies_with(sub { $image->imresize($src, 2, 2, 77) }, qr/interp.*77|77.*interp/s, 'an interpolation that there is not');
dies_with(sub { $image->imdecode($src) }, qr/imdecode: got .*want the bytes of a file/, 'an array for bytes');
dies_with(sub { $image->imdecode('x', flags => 1) }, qr/no such named argument 'flags'/, 'a misspelt name');

# -- colours

my $float = sub { return $src->astype('float32') };
my $white = nd->ones([2, 2, 3]) * 50;
is_close($image->ColorJitterAug(0, 0.5, 0)->($white->copy)->[0], $white, 'contrast leaves what is even', 1e-5);
is_close($image->ColorJitterAug(0, 0, 0.5)->($white->copy)->[0], $white, 'saturation leaves what is grey', 1e-5);
my $brighter = $image->ColorJitterAug(0.5, 0, 0)->($white->copy)->[0]->aspdl;
ok(abs($brighter->min - $brighter->max) < 1e-4 && $brighter->max >= 25 && $brighter->max <= 75,
    'brightness: one factor');
my $jitter = $image->ColorJitterAug(0.2, 0.2, 0.2)->($float->());
is(scalar @$jitter, 1, 'all three give one picture');
my $lit = (
    $image->LightingAug(
        0.1,
        [55.46, 4.794, 1.148],
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )->($float->())->[0] - $float->()
)->aspdl;
ok((($lit - $lit->slice(':,0:0,0:0'))->abs->max) < 1e-3, 'LightingAug adds one colour everywhere');
my @order;
$image->RandomOrderAug(
    [
        map {
            my $n = $_;
            sub { push @order, $n; return [$_[0] + 1] }
        } 1 .. 6
    ]
)->($float->());
is(join(' ', sort @order), '1 2 3 4 5 6', 'RandomOrderAug: each once');

# -- lists of changes

my $changes = $image->CreateAugmenter(
    data_shape => [3, 4, 5],
    resize => 6,
    rand_crop => 1,
    rand_resize => 1,
    rand_mirror => 1,
    brightness => 0.1,
    pca_noise => 0.1,
    mean => [1, 2, 3],
    std => [1, 1, 2]
);
my $picture = [$src];
for my $change (@$changes) {
    $picture = [map { @{ $change->($_) } } @$picture];
}
is(shape($picture->[0]) . ' ' . $picture->[0]->dtype . " of $#$picture", '4x5x3 float32 of 0',
    'all of CreateAugmenter');
dies_with(sub { $image->CreateAugmenter(data_shape => [3, 2, 2], rand_mirrors => 1) },
    qr/'rand_mirrors'/, 'a misspelt option');
dies_with(sub { $image->CreateAugmenter(rand_crop => 1) }, qr/data_shape is missing/, 'no shape');

# -- iterators

my ($said, $iter) = ('');
{
    open my $out, '>', \$said or die $!;
    my $stdout = select $out;
    ok(!eval { $image->ImageIter(batch_size => 1, data_shape => [3, 2, 2]); 1 }, 'an iterator over nothing');
    ok(!eval { $image->ImageIter(batch_size => 1, data_shape => [1, 2, 2], imglist => []); 1 }, 'of one channel');
    $iter = $image->ImageIter(
        batch_size => 2,
        data_shape => [3, 2, 2],
        label_width => 2,
        imglist => [[1, 2, 'a'], [[3, 4], 'b']]
    );
    select $stdout;
}
is($said, "loading image list...\n", 'it says what it reads');
is(
    join(' ', @{ $iter->provide_data }, @{ $iter->provide_label }),
    'DataDesc[data,2x3x2x2,float32,NCHW] DataDesc[softmax_label,2x2,float32,NCHW]',
    'it describes its batches'
);
dies_with(sub { $iter->next }, qr/ImageIter: cannot read a:/, 'files that are not there');

done_testing;

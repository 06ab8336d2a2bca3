use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);
use PDL ();

needs_operators(qw(_picture_batch _picture_encode _cvimdecode));

my $dir = tempdir(CLEANUP => 1);
my $image = mx->image;

# Pictures whose pixels tell their place.
sub picture
{
    my ($height, $width, $channels) = @_;
    my @pixels = map {
        my $y = $_;
        map { (($_ * 7 + $y) % 256, ($y * 5) % 256, ($_ + $y * 3) % 256)[0 .. $channels - 1] } 0 .. $width - 1
    } 0 .. $height - 1;
    return nd->array(\@pixels, dtype => 'uint8')->reshape([$height, $width, $channels]);
}

# -- files out of pictures

my $colours = picture(9, 14, 3);
my $png = $image->imencode($colours);
is(substr($png, 0, 4), "\x89PNG", 'a PNG file');
is_deeply([$image->imdecode($png)->aspdl->list], [$colours->aspdl->list], 'which holds the picture');
cmp_ok(
    length $image->imencode($colours, quality => 9),
    '<',
    length $image->imencode($colours, quality => 0),
    'small, or fast'
);
my $grey = picture(5, 4, 1);
is_deeply([$image->imdecode($image->imencode($grey), flag => 0)->aspdl->list], [$grey->aspdl->list], 'a grey one');
my $smooth = nd->array(PDL->xvals(16, 12)->dummy(0, 3) * 10, dtype => 'uint8');
my $jpeg = $image->imencode($smooth, img_fmt => '.jpg');
cmp_ok(($image->imdecode($jpeg)->aspdl->float - $smooth->aspdl->float)->abs->max, '<=', 6, 'a JPEG file is close');
cmp_ok(length $image->imencode($smooth, img_fmt => 'jpeg', quality => 20),
    '<', length $jpeg, 'and smaller with less quality');
$image->imwrite("$dir/a.png", $colours);
is_deeply($image->imread("$dir/a.png")->shape, [9, 14, 3], 'written and read');
dies_with(sub { $image->imwrite("$dir/a.gif", $colours) }, qr/img_fmt got \.gif/, 'another kind');
dies_with(sub { $image->imencode(nd->ones([2, 2, 3])) }, qr/uint8/, 'another dtype');
dies_with(sub { $image->imencode($colours, img_fmt => '.jpg', quality => 101) },
    qr/1 to 100/, 'a quality that there is not');

# -- records with a picture

my $record = mx->recordio->pack_img([0, 3, 7, 0], $colours, quality => 9, img_fmt => '.png');
my ($header, $back) = mx->recordio->unpack_img($record);
is_deeply([$header->label, $header->id, @{ $back->shape }], [3, 7, 9, 14, 3], 'header and picture');
is_deeply([$back->aspdl->list], [$colours->aspdl->list], 'the same pixels');
($header, $back) = mx->recordio->unpack_img(mx->recordio->pack_img(AI::MXNet::IRHeader->new(0, [1, 2], 0, 0), $smooth));
is_deeply([$header->label->list, @{ $back->shape }], [1, 2, 12, 16, 3], 'JPEG by default; several labels');
for my $kind ('.png', '.jpg') {
    my $bytes = mx->recordio->pack_img([0, 1, 1, 0], $grey, img_fmt => $kind);
    is_deeply((mx->recordio->unpack_img($bytes))[1]->shape, [5, 4, 1], "$kind: grey stays grey");
    is_deeply((mx->recordio->unpack_img($bytes, 1))[1]->shape, [5, 4, 3], "$kind: unless colours are asked for");
    is_deeply((mx->recordio->unpack_img($bytes, iscolor => 0))[1]->shape, [5, 4, 1], "$kind: by name");
}

# -- batches of them: the same as step by step

my @pictures = map { picture(@$_, 3) } [8, 12], [12, 8], [6, 6], [5, 20], [9, 9], [20, 7], [4, 3];
{
    my $writer = mx->recordio->MXRecordIO("$dir/a.rec", 'w');
    $writer->write(mx->recordio->pack_img([0, $_ / 2, $_, 0], $pictures[$_], img_fmt => '.png')) for 0 .. $#pictures;
}

sub batches
{
    my ($kind, %option) = @_;
    my $iter = mx->io->$kind({ path_imgrec => "$dir/a.rec", data_shape => [3, 6, 5], batch_size => 7, %option });
    return map { $_->data->[0]->aspdl->copy } @{$iter};
}

sub by_hand
{
    my ($change) = @_;
    my @planes = map { $change->($_)->transpose([2, 0, 1]) } @pictures;
    return nd->stack(@planes, axis => 0, num_args => scalar @planes);
}
my $centre = sub { ($image->center_crop($_[0], [5, 6], 1))[0] };
is_deeply([(batches('ImageRecordUInt8Iter'))[0]->list], [by_hand($centre)->aspdl->list], 'the middle');
is_deeply(
    [(batches('ImageRecordUInt8Iter', resize => 7))[0]->list],
    [by_hand(sub { $centre->($image->resize_short($_[0], 7, 1)) })->aspdl->list],
    'of a smaller picture'
);
srand 5;
my @wanted = by_hand(sub { ($image->random_crop($_[0], [5, 6], 1))[0] })->aspdl->list;
srand 5;
is_deeply([(batches('ImageRecordUInt8Iter', rand_crop => 1))[0]->list], \@wanted, 'any part');
my $middle = by_hand($centre)->astype('float32');
is_deeply([(batches('ImageRecordUInt8Iter', mirror => 1))[0]->list],
    [nd->reverse($middle, axis => 3)->aspdl->list], 'mirrored');
my %norm = (mean_r => 100, mean_g => 110, mean_b => 120, std_r => 2, std_g => 3, std_b => 4, scale => 0.5);
my ($mean, $std) = map { nd->array($_)->reshape([3, 1, 1]) } [100, 110, 120], [2, 3, 4];
is_close([(batches('ImageRecordIter', %norm))[0]->list], ($middle - $mean) / $std * 0.5, 'scaled');
is_deeply(
    [(batches('ImageRecordInt8Iter', mean_r => 128, mean_g => 128, mean_b => 128))[0]->list],
    [map { $_ - 128 } $middle->aspdl->list],
    'less the mean'
);
my $of_all = $middle->mean({ axis => 0 });
is_close(
    [(batches('ImageRecordIter', mean_img => "$dir/mean.bin"))[0]->list],
    $middle - $of_all,
    'less the mean picture'
);
is_close(nd->load("$dir/mean.bin")->{mean_img}, $of_all, 'which is kept');
is_deeply([map { $_->dim(3) } batches('ImageRecordIter', batch_size => 3)], [3, 3, 3], 'whole batches');
my $greys = mx->io->ImageRecordIter({ path_imgrec => "$dir/a.rec", data_shape => [1, 3, 3], batch_size => 7 });
is_deeply((<$greys>)->data->[0]->shape, [7, 1, 3, 3], 'one channel');
{
    my $writer = mx->recordio->MXRecordIO("$dir/bad.rec", 'w');
    $writer->write(mx->recordio->pack([0, 1, 1, 0], $_)) for $png, $png, 'nonsense';
}
my $bad = mx->io->ImageRecordIter({ path_imgrec => "$dir/bad.rec", data_shape => [3, 2, 2], batch_size => 3 });
dies_with(sub { $bad->next }, qr/picture 2: a JPEG or PNG picture is wanted/, 'which picture is none');

# -- pictures with boxes

{
    my $writer = mx->recordio->MXRecordIO("$dir/box.rec", 'w');
    my @boxes = ([2, 5, 1, 0.1, 0.2, 0.4, 0.8], [3, 5, 9, 0, 0, 0, 0.5, 1, 2, 0.5, 0.25, 1, 0.75]);
    for my $i (0, 1) {
        $writer->write(
            mx->recordio->pack_img(AI::MXNet::IRHeader->new(0, $boxes[$i], $i, 0), $pictures[$i], img_fmt => '.png'));
    }
}

sub boxes
{
    my %option = @_;
    my $iter = mx->io->ImageDetRecordIter(
        { path_imgrec => "$dir/box.rec", data_shape => [3, 6, 5], batch_size => 2, %option });
    my $batch = $iter->next;
    is_deeply($iter->provide_label->[0]->shape, $batch->label->[0]->shape, 'the shape of the labels is told');
    return ($batch->data->[0], $batch->label->[0]);
}
my ($data, $labels) = boxes();
is_deeply($labels->shape, [2, 17], 'as wide as the longest');
is_close($labels->at(0), [3, 6, 5, 7, 2, 5, 1, 0.1, 0.2, 0.4, 0.8, (-1) x 6], 'sizes, labels and padding');
is_close($labels->at(1), [3, 6, 5, 13, 3, 5, 9, 0, 0, 0, 0.5, 1, 2, 0.5, 0.25, 1, 0.75], 'two objects');
my @squeezed = map { $image->imresize($_, 5, 6, 1)->transpose([2, 0, 1])->astype('float32') } @pictures[0, 1];
is_close($data, nd->stack(@squeezed, axis => 0, num_args => 2), 'the whole picture');
my ($mirrored, $turned) = boxes(rand_mirror_prob => 1, label_pad_width => 20, label_pad_value => -2);
is_close($turned->at(0), [3, 6, 5, 7, 2, 5, 1, 0.6, 0.2, 0.9, 0.8, (-2) x 13], 'boxes are mirrored with their picture');
is_close($mirrored, nd->reverse($data, axis => 3), 'which is');
my %box = (path_imgrec => "$dir/box.rec", data_shape => [3, 6, 5], batch_size => 2);
dies_with(
    sub { mx->io->ImageDetRecordIter({ %box, rand_crop_prob => 0.5 }) },
    qr/rand_crop_prob is not there/,
    'what is not there is said'
);
dies_with(
    sub { mx->io->ImageDetRecordIter({ %box, label_pad_width => 5 }) },
    qr/label_pad_width got 5/,
    'too little room'
);

done_testing;

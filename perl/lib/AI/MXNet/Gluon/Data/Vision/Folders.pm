package AI::MXNet::Gluon::Data::Vision::Folders;
use 5.014;
use strict;
use warnings;

# Pictures in files: records, and folders named like their classes.

package AI::MXNet::Gluon::Data::Vision::ImageRecordDataset;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::RecordFileSet';
has flag => (is => 'ro', isa => 'Int', default => 1);
has transform_fn => (is => 'ro', isa => 'Maybe[CodeRef|Object]', init_arg => 'transform');
sub python_constructor_arguments { return [qw(filename flag transform)] }

sub at
{
    my ($self, $i) = @_;
    my ($header, $bytes) = AI::MXNet::RecordIO->unpack($self->SUPER::at($i));
    my @item = (AI::MXNet::Image->imdecode($bytes, flag => $self->flag), $header->label);
    @item = $self->transform_fn->(@item) if $self->transform_fn;
    return \@item;
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision');

package AI::MXNet::Gluon::Data::Vision::ImageFolderDataset;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
extends 'AI::MXNet::Gluon::Data::Set';
has root => (is => 'ro', isa => 'Str', required => 1);
has flag => (is => 'ro', isa => 'Int', default => 1);
has transform_fn => (is => 'ro', isa => 'Maybe[CodeRef|Object]', init_arg => 'transform');
has [qw(synsets items)] => (is => 'rw', init_arg => undef, default => sub { [] });
sub python_constructor_arguments { return [qw(root flag transform)] }

sub _names
{
    my $folder = shift;
    opendir my $dir, $folder or AI::MXNet::Keshi::fail("ImageFolderDataset: cannot read $folder: $!");
    my @names = sort grep { !/^\.\.?\z/ } readdir $dir;
    return @names;
}

sub BUILD
{
    my $self = shift;
    my $root = $self->root =~ s/^~(?=\/|\z)/$ENV{HOME} \/\/ '~'/er;
    for my $class (_names($root)) {
        if (not -d "$root/$class") {
            AI::MXNet::Logging->warning('Ignoring %s, which is not a directory.', $class);
            next;
        }
        my $label = @{ $self->synsets };
        push @{ $self->synsets }, $class;
        for my $name (_names("$root/$class")) {
            my $file = "$root/$class/$name";
            if ($name !~ /\.(?:jpe?g|png)\z/i) {
                my ($ending) = $name =~ /(\.[^.]*)\z/;
                AI::MXNet::Logging->warning('Ignoring %s of type %s. Only support .jpg, .jpeg, .png',
                    $file, $ending // 'none');
                next;
            }
            push @{ $self->items }, [$file, PDL->pdl(PDL::long(), [$label])];
        }
    }
    return;
}

sub len { return scalar @{ $_[0]->items } }

sub at
{
    my ($self, $i) = @_;
    my ($file, $label) =
        @{ $self->items->[$i] // AI::MXNet::Keshi::fail("ImageFolderDataset: got item $i of " . $self->len) };
    my @item = (AI::MXNet::Image->imread($file, flag => $self->flag), $label);
    @item = $self->transform_fn->(@item) if $self->transform_fn;
    return \@item;
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision');

1;
